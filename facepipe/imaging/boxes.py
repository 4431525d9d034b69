"""Arithmetic on boxes: `box_xyxy` arrays of shape (N, 4), in pixels, x right, y down, x1 and y1 exclusive.

Coordinates are continuous: the box (0, 0, 1, 1) is exactly the first pixel and has area 1.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Indices = NDArray[np.intp]
Overlap = Literal["union", "minimum"]

_BLOCK = 256  # boxes whose overlaps are looked at together: the table of a block stays in the processor's cache


def area(box_xyxy: Floats) -> Floats:
    """Return the area of each box (N,), 0 for a box turned inside out."""
    size = np.maximum(box_xyxy[:, 2:] - box_xyxy[:, :2], 0)  # (N, 2)
    whole: Floats = size[:, 0] * size[:, 1]
    return whole


def heights(box_xyxy: Floats) -> Floats:
    """Return the height (N,) of each box (N, 4)."""
    return box_xyxy[:, 3] - box_xyxy[:, 1]


def intersection(first: Floats, second: Floats) -> Floats:
    """Return the area (N, M) that each of `first` (N, 4) shares with each of `second` (M, 4)."""
    width = np.minimum(first[:, None, 2], second[None, :, 2]) - np.maximum(first[:, None, 0], second[None, :, 0])
    height = np.minimum(first[:, None, 3], second[None, :, 3]) - np.maximum(first[:, None, 1], second[None, :, 1])
    shared: Floats = np.maximum(width, 0) * np.maximum(height, 0)
    return shared


def overlap(first: Floats, second: Floats, over: Overlap = "union") -> Floats:
    """Return how far each box of `first` (N, 4) and each of `second` (M, 4) cover the same ground, 0 to 1.

    Args:
        first: (N, 4).
        second: (M, 4).
        over: what the shared area is divided by: the area of the `union` of the two (IoU), or of the `minimum`, the
            smaller of the two, which is 1 where one box lies inside the other.

    Returns:
        (N, M); 0 where both boxes are empty.
    """
    shared = intersection(first, second)
    area_first, area_second = area(first)[:, None], area(second)[None, :]
    whole = area_first + area_second - shared if over == "union" else np.minimum(area_first, area_second)
    share = np.zeros(shared.shape, dtype=np.result_type(shared, np.float32))
    return np.divide(shared, whole, out=share, where=whole > 0)


def iou(first: Floats, second: Floats) -> Floats:
    """Return intersection over union (N, M) of `first` (N, 4) and `second` (M, 4)."""
    return overlap(first, second, "union")


def nms(
    box_xyxy: Floats,
    score: Floats,
    threshold: float,
    over: Overlap = "union",
    group: NDArray[np.integer] | None = None,
) -> Indices:
    """Return which boxes survive non-maximum suppression: greedy, the best score first.

    A box is dropped when its overlap with a *kept* box of the same group is greater than `threshold` (equal stays).
    Of equal scores the box that stands earlier goes first.

    Args:
        box_xyxy: (N, 4).
        score: (N,).
        threshold: 0 to 1.
        over: as in `overlap`.
        group: (N,) integers: boxes of different groups (photos, scales) never touch each other; none: one group.

    Returns:
        Indices (K,) of kept boxes: by group in ascending order, and within a group by descending score.
    """
    if group is None:
        return _nms_one_group(box_xyxy, score, threshold, over)
    by_group = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[by_group])) + 1
    kept = [
        members[_nms_one_group(box_xyxy[members], score[members], threshold, over)]
        for members in np.split(by_group, starts)
    ]
    return np.concatenate(kept)


def _nms_one_group(box_xyxy: Floats, score: Floats, threshold: float, over: Overlap) -> Indices:
    waiting = np.argsort(-score, kind="stable")
    kept: list[Indices] = []
    while len(waiting):
        block, waiting = waiting[:_BLOCK], waiting[_BLOCK:]
        touches = overlap(box_xyxy[block], box_xyxy[block], over) > threshold  # (B, B)
        alive = np.ones(len(block), dtype=bool)
        for best in range(len(block)):
            if alive[best]:
                alive[best + 1 :] &= ~touches[best, best + 1 :]
        winners = block[alive]
        kept.append(winners)
        if len(waiting):
            waiting = waiting[~(overlap(box_xyxy[winners], box_xyxy[waiting], over) > threshold).any(axis=0)]
    return np.concatenate(kept) if kept else np.empty(0, dtype=np.intp)


def clip(box_xyxy: Floats, width: float | Floats, height: float | Floats) -> Floats:
    """Return the part of each box (N, 4) that lies on its photo; empty (x0 == x1 or y0 == y1) where none does.

    Args:
        box_xyxy: (N, 4).
        width: of the photo, or (N,) one a box.
        height: likewise.
    """
    x0, y0, x1, y1 = box_xyxy.T
    limits = (width, height, width, height)
    clipped = [np.clip(edge, 0, limit) for edge, limit in zip((x0, y0, x1, y1), limits, strict=True)]
    return np.stack(clipped, axis=1).astype(box_xyxy.dtype, copy=False)


def square(box_xyxy: Floats) -> Floats:
    """Return squares (N, 4) of the same centres whose side is each box's longer one."""
    centre = (box_xyxy[:, :2] + box_xyxy[:, 2:]) / 2
    half = (box_xyxy[:, 2:] - box_xyxy[:, :2]).max(axis=1, keepdims=True, initial=0) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def shift_edges(box_xyxy: Floats, offsets: Floats) -> Floats:
    """Return boxes (N, 4) whose edges moved by `offsets` (N, 4), given in units of each box's width and height.

    This is the bounding-box regression of Zhang et al. 2016, section II.B.
    """
    size = box_xyxy[:, 2:] - box_xyxy[:, :2]  # (N, 2)
    moved: Floats = box_xyxy + offsets * np.concatenate([size, size], axis=1)
    return moved
