"""Many boxes on one face become one: by their best (NMS-max), or by the mean of their good ones (NMS-avg).

Source: Farfade, Saberian and Li 2015, "Multi-view Face Detection Using Deep Convolutional Neural Networks", section 3.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facepipe.imaging.boxes import iou, nms

Floats = NDArray[np.floating]
Merging = Literal["max", "average"]

# Of a cluster's best score: boxes below are left out of the mean. With the paper's 0.9, average precision on turned and
# upright photos was lower by up to 0.05.
GOOD_SHARE = 0.5


class Merged(NamedTuple):
    """Boxes that are left, by descending score.

    Attributes:
        box: (K, 4) `box_xyxy`.
        score: (K,)
    """

    box: Floats
    score: Floats


def nms_max(box_xyxy: Floats, score: Floats, threshold: float) -> Merged:
    """Return the boxes (N, 4) that no better one overlaps (IoU) by more than `threshold`, with their scores (N,)."""
    kept = nms(box_xyxy, score, threshold)
    return Merged(box_xyxy[kept], score[kept])


def nms_avg(box_xyxy: Floats, score: Floats, threshold: float) -> Merged:
    """Return one box a cluster: the mean of its good boxes, with the cluster's best score.

    The best box begins a cluster, which all boxes join that overlap it (IoU) by more than `threshold`; of the rest
    again the best, and so on. Good are boxes with at least GOOD_SHARE of their cluster's best score.

    Departs from the paper: boxes of half of the best score are good, there from nine tenths on; the mean is weighted by
    the scores; of means that overlap after all only the best is kept.

    Args:
        box_xyxy: (N, 4).
        score: (N,) 0 to 1; of equal ones the earlier box is the better.
        threshold: 0 to 1.
    """
    waiting = np.argsort(-score, kind="stable")
    means, best = [], []
    while len(waiting):
        joins = iou(box_xyxy[waiting[:1]], box_xyxy[waiting])[0] > threshold
        joins[0] = True
        cluster, waiting = waiting[joins], waiting[~joins]
        good = cluster[score[cluster] >= GOOD_SHARE * score[cluster[0]]]
        weight = np.maximum(score[good], 1e-9)
        means.append((box_xyxy[good] * weight[:, None]).sum(axis=0) / weight.sum())
        best.append(score[cluster[0]])
    if not means:
        return Merged(box_xyxy[:0], score[:0])
    return nms_max(np.stack(means).astype(box_xyxy.dtype), np.array(best, score.dtype), threshold)
