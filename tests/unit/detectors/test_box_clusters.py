from collections.abc import Callable

import numpy as np
import pytest

from facepipe.detectors.box_clusters import GOOD_SHARE, Merged, nms_avg, nms_max


def overlap(first: list[float], second: list[float]) -> float:
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def slow_max(boxes: list[list[float]], scores: list[float], threshold: float) -> list[tuple[list[float], float]]:
    kept: list[tuple[list[float], float]] = []
    for index in sorted(range(len(boxes)), key=lambda index: -scores[index]):
        if all(overlap(boxes[index], box) <= threshold for box, _ in kept):
            kept.append((boxes[index], scores[index]))
    return kept


def slow_avg(boxes: list[list[float]], scores: list[float], threshold: float) -> list[tuple[list[float], float]]:
    waiting = sorted(range(len(boxes)), key=lambda index: -scores[index])
    means, best = [], []
    while waiting:
        first = waiting[0]
        cluster = [index for index in waiting if index == first or overlap(boxes[first], boxes[index]) > threshold]
        waiting = [index for index in waiting if index not in cluster]
        good = [index for index in cluster if scores[index] >= GOOD_SHARE * scores[first]]
        total = sum(scores[index] for index in good)
        means.append([sum(scores[index] * boxes[index][edge] for index in good) / total for edge in range(4)])
        best.append(scores[first])
    return slow_max(means, best, threshold)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_both_say_what_plain_loops_say(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 60, (80, 2)), rng.uniform(8, 30, (80, 1))
    boxes, scores = np.concatenate([corner, corner + side], axis=1), rng.random(80)
    for fast, slow in ((nms_max, slow_max), (nms_avg, slow_avg)):
        merged = fast(boxes, scores, threshold)
        expected = slow(boxes.tolist(), scores.tolist(), threshold)
        assert 1 < len(expected) < 80
        np.testing.assert_allclose(merged.box, [box for box, _ in expected], atol=1e-9)
        np.testing.assert_allclose(merged.score, [score for _, score in expected])


def test_the_mean_leaves_out_weak_boxes_and_is_weighted() -> None:
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [0, 4, 10, 14], [50, 50, 60, 60]], float)
    merged = nms_avg(boxes, np.array([1.0, 0.95, 0.4, 0.3]), 0.3)
    assert merged.box[0] == pytest.approx([1.9 / 1.95, 0, 10 + 1.9 / 1.95, 10])
    assert merged.box[1] == pytest.approx(boxes[3])
    assert merged.score == pytest.approx([1.0, 0.3])


@pytest.mark.parametrize("merge", [nms_max, nms_avg])
def test_nothing_stays_nothing(merge: Callable[..., Merged]) -> None:
    merged = merge(np.empty((0, 4), np.float32), np.empty(0, np.float32), 0.3)
    assert merged.box.shape == (0, 4)
    assert merged.score.shape == (0,)
