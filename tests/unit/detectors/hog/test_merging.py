import numpy as np
import pytest

from facepipe.detectors.hog.merging import ADDS_FROM, SHARPNESS, SUPPRESSED_FROM, merge_boxes
from facepipe.imaging.boxes import iou, nms


@pytest.mark.parametrize("seed", range(5))
def test_groups_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centre, side = rng.uniform(0, 60, (80, 2)), rng.uniform(15, 30, (80, 1))
    box = np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)
    margin = rng.normal(0, 0.5, 80).astype(np.float32)
    means, fused = [], []
    for best in nms(box, margin, SUPPRESSED_FROM):
        total, weights = np.zeros(4), 0.0
        for other in range(80):
            if iou(box[best : best + 1], box[other : other + 1])[0, 0] >= ADDS_FROM:
                weight = np.exp(SHARPNESS * float(margin[other]))
                total, weights = total + weight * box[other], weights + weight
        means.append(total / weights)
        fused.append(np.log(weights) / SHARPNESS)
    left = nms(np.array(means, np.float32), np.array(fused, np.float32), SUPPRESSED_FROM)
    faces = merge_boxes(box, margin)
    assert np.allclose(faces.box, np.array(means)[left], atol=1e-3)
    assert np.allclose(faces.margin, np.array(fused)[left], atol=1e-4)
    assert faces.box.dtype == faces.margin.dtype == np.float32


def test_a_box_alone_stays_and_equal_ones_add_up() -> None:
    box = np.array([[0, 0, 10, 12], [50, 50, 60, 62], [50, 50, 60, 62], [50, 50, 60, 62]], np.float32)
    faces = merge_boxes(box, np.array([0.9, 0.8, 0.8, 0.8], np.float32))
    assert faces.box.tolist() == [[50, 50, 60, 62], [0, 0, 10, 12]]
    assert faces.margin == pytest.approx([0.8 + np.log(3) / SHARPNESS, 0.9])


def test_none_and_empty_boxes() -> None:
    none = merge_boxes(np.empty((0, 4), np.float32), np.empty(0, np.float32))
    assert none.box.shape == (0, 4)
    empty = merge_boxes(np.array([[3, 3, 3, 9]], np.float32), np.array([200.0], np.float32))
    assert empty.margin == pytest.approx([200.0])
