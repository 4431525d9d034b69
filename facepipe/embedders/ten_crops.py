"""Thirty views of a face, whose outputs are averaged: slow, and meant for evaluation.

Source: Parkhi, Vedaldi and Zisserman, "Deep Face Recognition" (BMVC 2015), section 6: faces of 256, 384 and 512 pixels
for a network of 224, of each the four corners and the centre with horizontal flip.

Departs from the paper: the three sizes keep their proportions to the network's own, whatever that is; the smaller faces
are made of the largest one, not of the photo.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

SCALES = (256, 384, 512)  # sides of the face, in pixels, beside a network of
NETWORK = 224


def face_sides(size: int) -> tuple[int, ...]:
    """Return the sides of the scaled faces for a network that takes S x S pixels, ascending; the last is to be cut."""
    return tuple(round(size * scale / NETWORK) for scale in SCALES)


def thirty_views(faces: Tensor, size: int) -> Iterator[Tensor]:
    """Yield the 30 views (B, 3, S, S) of faces, channels last in memory, each one followed by its mirror image.

    At each scale they are the four corners and the centre, or half a pixel up and left of it where the margin is odd.

    Args:
        faces: (B, 3, F, F), F the last of `face_sides`.
        size: S.
    """
    for side in face_sides(size):
        # Antialiased, in single precision, since pixels of half precision would lose an eighth of a level.
        scaled = F.interpolate(faces.float(), (side, side), mode="bilinear", antialias=True)
        scaled = scaled.to(faces.dtype)
        far, middle = side - size, (side - size) // 2
        for top, left in ((0, 0), (0, far), (far, 0), (far, far), (middle, middle)):
            view = scaled[:, :, top : top + size, left : left + size].contiguous(memory_format=torch.channels_last)
            yield view
            yield view.flip(3)
