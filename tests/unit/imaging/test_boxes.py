"""Each fast operation beside a slow, obvious twin."""

import numpy as np
import pytest

from facepipe.imaging import boxes
from facepipe.imaging.boxes import Floats, Overlap


def slow_overlap(a: Floats, b: Floats, over: Overlap) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    size_a = max(0.0, a[2] - a[0]) * max(0.0, a[3] - a[1])
    size_b = max(0.0, b[2] - b[0]) * max(0.0, b[3] - b[1])
    whole = size_a + size_b - width * height if over == "union" else min(size_a, size_b)
    return float(width * height / whole) if whole > 0 else 0.0


def slow_nms(box_xyxy: Floats, score: Floats, threshold: float, over: Overlap, group: np.ndarray) -> list[int]:
    kept: list[int] = []
    for name in sorted(set(group.tolist())):
        members = [i for i in range(len(score)) if group[i] == name]
        members.sort(key=lambda i: (-score[i], i))
        winners: list[int] = []
        for i in members:
            if all(slow_overlap(box_xyxy[i], box_xyxy[j], over) <= threshold for j in winners):
                winners.append(i)
        kept += winners
    return kept


def random_boxes(rng: np.random.Generator, count: int, extent: float = 100.0) -> Floats:
    corner = rng.uniform(0, extent, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(0, extent / 3, (count, 2))], axis=1)


@pytest.mark.parametrize("over", ["union", "minimum"])
def test_overlap_equals_its_slow_twin(over: Overlap) -> None:
    rng = np.random.default_rng(1)
    first, second = random_boxes(rng, 30), random_boxes(rng, 20)
    second[0] = [5, 5, 5, 5]  # an empty box
    expected = [[slow_overlap(a, b, over) for b in second] for a in first]
    np.testing.assert_allclose(boxes.overlap(first, second, over), expected, atol=1e-12)


def test_overlap_of_boxes_solved_by_hand() -> None:
    whole, quarter = np.array([[0.0, 0, 4, 4]]), np.array([[2.0, 2, 4, 4]])
    assert boxes.iou(whole, quarter)[0, 0] == pytest.approx(4 / 16)
    assert boxes.overlap(whole, quarter, "minimum")[0, 0] == pytest.approx(1.0)
    touching = np.array([[4.0, 0, 8, 4]])  # x1 is exclusive: shares no pixel
    assert boxes.iou(whole, touching)[0, 0] == 0


@pytest.mark.parametrize("over", ["union", "minimum"])
@pytest.mark.parametrize("count", [0, 1, 7, 400])  # the last spans several blocks
def test_nms_equals_its_slow_twin(over: Overlap, count: int) -> None:
    rng = np.random.default_rng(2)
    box_xyxy = random_boxes(rng, count, extent=60)
    score = rng.integers(0, 20, count) / 20  # many ties
    group = rng.integers(0, 2, count)
    for threshold in (0.0, 0.3, 0.7):
        kept = boxes.nms(box_xyxy, score, threshold, over, group)
        assert kept.tolist() == slow_nms(box_xyxy, score, threshold, over, group)
        alone = boxes.nms(box_xyxy, score, threshold, over)
        assert alone.tolist() == slow_nms(box_xyxy, score, threshold, over, np.zeros(count, dtype=int))


def test_nms_keeps_a_box_whose_overlap_equals_the_threshold() -> None:
    box_xyxy = np.array([[0.0, 0, 2, 1], [1, 0, 3, 1]])  # IoU is exactly 1/3
    score = np.array([0.9, 0.8])
    assert boxes.nms(box_xyxy, score, 1 / 3).tolist() == [0, 1]
    assert boxes.nms(box_xyxy, score, 0.33).tolist() == [0]


def test_a_suppressed_box_suppresses_nothing() -> None:
    box_xyxy = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])  # only neighbours overlap much
    assert boxes.nms(box_xyxy, np.array([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]


def test_groups_do_not_touch_and_come_in_ascending_order() -> None:
    box_xyxy = np.repeat(np.array([[0.0, 0, 10, 10]]), 4, axis=0)
    kept = boxes.nms(box_xyxy, np.array([0.1, 0.2, 0.3, 0.4]), 0.5, group=np.array([7, 2, 7, 2]))
    assert kept.tolist() == [3, 2]


def test_clip_cuts_at_the_edges_and_empties_what_lies_outside() -> None:
    box_xyxy = np.array([[-5.0, 2, 8, 30], [20, 20, 30, 30]], dtype=np.float32)
    clipped = boxes.clip(box_xyxy, 10, 12)
    assert clipped.dtype == np.float32
    assert clipped.tolist() == [[0, 2, 8, 12], [10, 12, 10, 12]]
    assert boxes.area(clipped).tolist() == [80, 0]
    widths = boxes.clip(box_xyxy, np.array([4.0, 25]), np.array([40.0, 25]))
    assert widths.tolist() == [[0, 2, 4, 30], [20, 20, 25, 25]]


def test_square_keeps_the_centre_and_the_longer_side() -> None:
    assert boxes.square(np.array([[10.0, 20, 14, 30]])).tolist() == [[7, 20, 17, 30]]
    assert boxes.square(np.empty((0, 4))).shape == (0, 4)


def test_shift_edges_moves_in_units_of_each_box() -> None:
    moved = boxes.shift_edges(np.array([[10.0, 20, 20, 40]]), np.array([[-0.1, 0.1, 0.2, -0.5]]))
    np.testing.assert_allclose(moved, [[9, 22, 22, 30]])
