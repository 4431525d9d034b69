"""A fully convolutional network slid over images, a few rows at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Windows:
    """Windows that passed the threshold, one a row.

    Attributes:
        image: (N,) index of the image.
        corner: (N, 2) x and y of the upper left corner, in pixels of the image.
        score: (N,) float32.
        offsets: (N, 4) float32 edge offsets in units of the window's side.
    """

    image: NDArray[np.intp]
    corner: NDArray[np.intp]
    score: NDArray[np.float32]
    offsets: NDArray[np.float32]


def slide_window(
    network: Callable[[Sequence[Image]], tuple[Tensor, Tensor]],
    images: Sequence[Image],
    *,
    window: int,
    stride: int,
    threshold: float,
    pixels_at_once: int,
) -> Iterator[Windows]:
    """Yield the windows that the network scores at least `threshold`.

    Bands of rows overlap by a window less a stride and start at multiples of the stride, so that every window is
    looked at exactly once and sees the same pixels as in one pass over whole images.

    Args:
        network: images of one size ► scores (B, h, w) and offsets (B, 4, h, w).
        images: (H, W, 3) uint8 RGB of one size, H and W at least `window`.
        window: side of the network's window, in pixels.
        stride: between neighbouring windows, in pixels; the network gives each band of H rows one row of windows for
            each `stride` rows that begin in its first H - window + stride (likewise columns).
        threshold: least score.
        pixels_at_once: about as many go through the network in one pass.
    """
    height, width = images[0].shape[:2]
    overlap = window - stride
    step = max(1, (min(height, pixels_at_once // width) - overlap) // stride) * stride
    count = max(1, pixels_at_once // (min(height, step + overlap) * width))
    for first in range(0, len(images), count):
        for top in range(0, height - overlap, step):
            band = [image[top : top + step + overlap] for image in images[first : first + count]]
            scores, offsets = network(band)  # (B, h, w), (B, 4, h, w)
            image, row, column = torch.nonzero(scores >= threshold, as_tuple=True)
            yield Windows(
                image=first + image.cpu().numpy(),
                corner=stride * torch.stack([column, row], dim=1).cpu().numpy() + np.array([0, top]),
                score=scores[image, row, column].float().cpu().numpy(),
                offsets=offsets[image, :, row, column].float().cpu().numpy(),
            )
