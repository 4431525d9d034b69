"""Faces cut out by their boxes: for the embedder, and as thumbnails for people."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

# Growth that repeats, as a share of the box, what FaceNet's networks were trained on: the box grown by 16 px a side,
# stretched to 182 px, of which the central 160 are kept. For LFW's median box of 88 x 115 px that keeps
# (88 + 32) * 160 / 182 = 105.5 px of width and (115 + 32) * 160 / 182 = 129.2 px of height.
FACENET_GROW = (0.10, 0.062)

Crops = npt.NDArray[np.uint8]


def crop_faces(
    image: npt.NDArray[np.uint8],
    boxes_xyxy: npt.NDArray[np.float32],
    size: int = 160,
    grow: tuple[float, float] = FACENET_GROW,
    *,
    beyond_edge: str = "replicate",
    resample: Image.Resampling = Image.Resampling.BILINEAR,
) -> Crops:
    """Return each face's grown box stretched to a square, in one antialiased resampling.

    Args:
        image: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4) pixels, x1 and y1 exclusive; may reach beyond the photo.
        size: side of the crops, in pixels.
        grow: share of the box's width and height added on each side.
        beyond_edge: "clip" or "replicate".
        resample: filter.

    Returns:
        (N, size, size, 3) uint8 RGB, in the order of the boxes.
    """
    crops = np.empty((len(boxes_xyxy), size, size, 3), np.uint8)
    for crop, box in zip(crops, np.asarray(boxes_xyxy, np.float64), strict=True):
        x0, y0, x1, y1 = box
        gx, gy = grow[0] * (x1 - x0), grow[1] * (y1 - y0)
        region = (x0 - gx, y0 - gy, x1 + gx, y1 + gy)
        if beyond_edge == "clip":
            H, W = image.shape[:2]
            region = (max(region[0], 0), max(region[1], 0), min(region[2], W), min(region[3], H))
        crop[:] = _resample(image, region, size, resample)
    return crops


def _resample(image: npt.NDArray[np.uint8], region: Sequence[float], size: int, resample: Image.Resampling) -> Crops:
    height, width = image.shape[:2]
    x0, y0, x1, y1 = region
    # a pixel more than the filter reaches
    mx, my = (int(np.ceil(3 * max(1.0, s / size))) for s in (x1 - x0, y1 - y0))
    cols = np.arange(int(np.floor(x0)) - mx, int(np.ceil(x1)) + mx)
    rows = np.arange(int(np.floor(y0)) - my, int(np.ceil(y1)) + my)
    inside = (cols >= 0) & (cols < width) if False else None
    patch = image[np.clip(rows, 0, height - 1)][:, np.clip(cols, 0, width - 1)]
    picture = Image.fromarray(np.ascontiguousarray(patch))
    left, top = cols[0], rows[0]
    return np.asarray(picture.resize((size, size), resample, box=(x0 - left, y0 - top, x1 - left, y1 - top)))
