"""Windows that overlap become one face: their boxes' mean, and a margin to which all of them add.

Source: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005, and N. Dalal's thesis,
"Finding People in Images and Videos", 2006: where a classifier fires at neighbouring places and scales there is more of
a person than where it fires once, so that responses are fused rather than the best kept.

Departs from the paper: overlapping windows are suppressed greedily, and the rest fused around those that are left,
rather than by mean shift.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facepipe.imaging.boxes import iou, nms

Floats = NDArray[np.float32]

SUPPRESSED_FROM = 0.4  # IoU with a better box
ADDS_FROM = 0.5  # IoU with the box that is left, from which on another adds to it
SHARPNESS = 5.0  # by how much more, as a logarithm, a box of a margin greater by 1 counts


class MergedFaces(NamedTuple):
    """Faces, by descending margin.

    Attributes:
        box: (K, 4) float32.
        margin: (K,) float32.
    """

    box: Floats
    margin: Floats


def merge_boxes(box_xyxy: Floats, margin: Floats) -> MergedFaces:
    """Return one face for each group of boxes.

    Of boxes that overlap the best are left; each becomes the mean of all boxes around it, weighted by the exponential
    of SHARPNESS times their margins, and its margin the logarithm of the weights' sum over SHARPNESS: greater than the
    best one's own by at most log(N) / SHARPNESS. Means that overlap are suppressed once more.

    Args:
        box_xyxy: (N, 4) float32.
        margin: (N,) float32.
    """
    left = nms(box_xyxy, margin, SUPPRESSED_FROM)
    if not len(left):
        return MergedFaces(box_xyxy, margin)
    greatest = float(margin.max())
    weight = np.exp(SHARPNESS * (margin.astype(np.float64) - greatest)) * (iou(box_xyxy[left], box_xyxy) >= ADDS_FROM)
    weight[np.arange(len(left)), left] = np.exp(SHARPNESS * (margin[left].astype(np.float64) - greatest))  # empty boxes
    total = weight.sum(axis=1)  # (K,)
    mean = ((weight / total[:, None]) @ box_xyxy).astype(np.float32)
    fused = (greatest + np.log(total) / SHARPNESS).astype(np.float32)
    last = nms(mean, fused, SUPPRESSED_FROM)
    return MergedFaces(mean[last], fused[last])
