"""The same face in a photo and in its copy."""

import numpy as np
import numpy.typing as npt

from facepipe.imaging.boxes import iou

LEAST_IOU = 0.5


def match_faces(in_copy: npt.NDArray[np.float32], in_keeper: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return which face of a copy is which face of the photo it is a copy of, one-to-one, with the most overlap in all.

    Args:
        in_copy: (N, 4) boxes as shares of the photo's width and height.
        in_keeper: (M, 4) likewise.

    Returns:
        (P, 2) rows of both; boxes whose intersection is less than half of their union are different faces.
    """
    from scipy.optimize import linear_sum_assignment  # half a second, which libraries without copies can do without

    overlaps = iou(in_copy, in_keeper)  # (N, M)
    rows, columns = linear_sum_assignment(np.where(overlaps >= LEAST_IOU, overlaps, 0), maximize=True)
    same = overlaps[rows, columns] >= LEAST_IOU
    return np.stack([rows[same], columns[same]], axis=1).astype(np.int64)
