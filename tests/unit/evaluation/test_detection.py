"""Hand-solved photos, then a slow twin that follows the protocol's words."""

import numpy as np
import pytest

from facepipe.evaluation.detection import (
    DetectionFigures,
    PhotoDetections,
    average_precision,
    average_precision_interval,
    evaluate_detections,
    match_photo,
    pooled_figures,
)

NONE = np.empty((0, 4))


def face(x: float, y: float, height: float, width: float | None = None) -> list[float]:
    return [x, y, x + (height if width is None else width), y + height]


def slow_iou(a: np.ndarray, b: np.ndarray) -> float:
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


def slow_figures(
    boxes: list[np.ndarray], scores: list[np.ndarray], truths: list[np.ndarray], least: float
) -> tuple[float, float]:
    """Average precision (by summing the curve point by point) and recall, all photos in one list."""
    everything = sorted(
        ((-score, photo, row) for photo, rows in enumerate(scores) for row, score in enumerate(rows)),
    )
    found_already: set[tuple[int, int]] = set()
    hits = []
    faces = sum(t[3] - t[1] >= least for photo in truths for t in photo)
    for _, photo, row in everything:
        box = boxes[photo][row]
        overlaps = [(slow_iou(box, t), -i, t[3] - t[1] >= least) for i, t in enumerate(truths[photo])]
        free = [o for o in overlaps if o[0] >= 0.5 and o[2] and (photo, -o[1]) not in found_already]
        if free:
            found_already.add((photo, -max(free)[1]))
            hits.append(True)
        elif not any(o[0] >= 0.5 and not o[2] for o in overlaps) and box[3] - box[1] >= least:
            hits.append(False)
    points = [(sum(hits[: n + 1]) / faces, sum(hits[: n + 1]) / (n + 1)) for n in range(len(hits))] if faces else []
    area, before = 0.0, 0.0
    for recall, _ in points:
        area += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return area, before


@pytest.mark.parametrize("seed", range(20))
def test_figures_equal_their_slow_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes, scores, truths = [], [], []
    for _ in range(int(rng.integers(1, 6))):
        truth = np.array(
            [
                face(rng.uniform(0, 60), rng.uniform(0, 60), float(rng.integers(10, 40)))
                for _ in range(rng.integers(0, 8))
            ]
        )
        truth = truth.reshape(-1, 4)
        near = truth[rng.integers(0, len(truth), 12)] + rng.normal(0, 2.5, (12, 4)) if len(truth) else NONE
        stray = np.array([face(rng.uniform(0, 90), rng.uniform(0, 90), rng.uniform(10, 40)) for _ in range(3)])
        boxes.append(np.concatenate([near, stray]))
        scores.append(rng.integers(1, 9, len(boxes[-1])) / 10)  # many ties
        truths.append(truth)
    for least in (1, 20, 30):
        figures = evaluate_detections(boxes, scores, truths, least)
        area, recall = slow_figures(boxes, scores, truths, least)
        assert figures.average_precision == pytest.approx(area), seed
        assert figures.recall == pytest.approx(recall), seed


def figures_of(
    boxes: list[list[float]], scores: list[float], truths: list[list[float]], least: float = 20
) -> DetectionFigures:
    photo = np.array(boxes).reshape(-1, 4), np.array(scores), np.array(truths).reshape(-1, 4)
    return evaluate_detections([photo[0]], [photo[1]], [photo[2]], least)


def test_a_perfect_detector() -> None:
    figures = figures_of([face(0, 0, 30), face(50, 0, 30)], [0.9, 0.8], [face(50, 0, 30), face(0, 0, 30)])
    assert (figures.average_precision, figures.recall, figures.precision, figures.faces) == (1, 1, 1, 2)


def test_the_curve_solved_by_hand() -> None:
    # true, false, true, false; three faces: precision 1 up to recall 1/3, then 2/3 up to recall 2/3
    boxes = [face(0, 0, 30), face(200, 0, 30), face(50, 0, 30), face(300, 0, 30)]
    figures = figures_of(boxes, [0.9, 0.8, 0.7, 0.6], [face(0, 0, 30), face(50, 0, 30), face(100, 0, 30)])
    assert figures.average_precision == pytest.approx(1 / 3 + 1 / 3 * 2 / 3)
    assert figures.recall == pytest.approx(2 / 3)
    assert figures.precision == 0.5


def test_a_later_better_precision_lifts_the_earlier_one() -> None:
    assert average_precision(np.array([False, True, True, True]), 3) == pytest.approx(3 / 4)
    assert average_precision(np.array([True, False, True]), 2) == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    assert average_precision(np.array([], dtype=bool), 2) == 0
    assert average_precision(np.array([False]), 0) == 0


def test_a_second_detection_of_a_face_is_false() -> None:
    figures = figures_of([face(0, 0, 30), face(1, 0, 30)], [0.9, 0.8], [face(0, 0, 30)])
    assert figures.precision == 0.5
    assert figures.average_precision == 1  # it costs nothing once everything is found


def test_the_overlap_of_one_half_counts() -> None:
    assert figures_of([face(0, 0, 20, 40)], [0.9], [face(0, 0, 20, 20)]).recall == 1
    assert figures_of([face(0, 0, 20, 40.1)], [0.9], [face(0, 0, 20, 20)]).recall == 0


def test_a_detection_takes_the_free_face_that_it_overlaps_most() -> None:
    truths = [face(0, 0, 30), face(6, 0, 30)]
    figures = figures_of([face(4, 0, 30), face(2, 0, 30)], [0.9, 0.8], truths)
    assert figures.recall == 1
    outcome = match_photo(np.array([face(5, 0, 30), face(5, 0, 30), face(5, 0, 30)]), np.array(truths), 20)
    assert outcome.found.tolist() == [True, True, False]


def test_low_faces_are_ignored_either_way() -> None:
    truths = [face(0, 0, 30), face(100, 0, 19)]
    on_low = [face(100, 0, 21), face(101, 0, 20)]
    figures = figures_of([*on_low, face(0, 0, 30)], [0.99, 0.98, 0.5], truths)
    assert (figures.average_precision, figures.recall, figures.precision, figures.faces) == (1, 1, 1, 1)
    assert figures_of([], [], truths).faces == 1
    assert figures_of(on_low, [0.9, 0.8], truths, least=10).faces == 2


def test_a_face_of_exactly_the_least_height_counts() -> None:
    assert figures_of([], [], [face(0, 0, 20)]).faces == 1
    assert figures_of([], [], [face(0, 0, 19.99)]).faces == 0


def test_a_free_face_goes_before_an_ignored_one() -> None:
    low, counts = face(0, 0, 19), face(0, 0, 22)
    outcome = match_photo(np.array([low]), np.array([low, counts]), 20)
    assert outcome.found.tolist() == [True]
    assert outcome.ignored.tolist() == [False]


def test_low_detections_are_false_nowhere_but_may_be_true() -> None:
    outcome = match_photo(
        np.array([face(0, 0, 19), face(200, 0, 19), face(300, 0, 20)]), np.array([face(0, 0, 21)]), 20
    )
    assert outcome.found.tolist() == [True, False, False]
    assert outcome.ignored.tolist() == [False, True, False]


def test_scores_of_all_photos_form_one_curve() -> None:
    boxes = [np.array([face(0, 0, 30)]), np.array([face(200, 0, 30)])]
    truths = [np.array([face(0, 0, 30)]), np.array([face(0, 0, 30)])]
    figures = evaluate_detections(boxes, [np.array([0.5]), np.array([0.9])], truths, 20)
    assert figures.average_precision == pytest.approx(0.25)


def test_photos_without_anything() -> None:
    assert evaluate_detections([], [], [], 20).average_precision == 0
    figures = evaluate_detections([NONE], [np.empty(0)], [NONE], 20)
    assert (figures.average_precision, figures.recall, figures.precision, figures.faces) == (0, 0, 1, 0)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        evaluate_detections([NONE], [], [NONE], 20)


def test_the_interval_holds_the_figure_and_shrinks_with_more_photos() -> None:
    rng = np.random.default_rng(3)

    def judged(count: int) -> list[PhotoDetections]:
        return [PhotoDetections(-np.sort(-rng.random(6)), rng.random(6) < 0.6, faces=6) for _ in range(count)]

    few, many = judged(12), judged(200)
    low, high = average_precision_interval(few, draws=200)
    assert low < pooled_figures(few).average_precision < high
    many_low, many_high = average_precision_interval(many, draws=200)
    assert many_high - many_low < 0.5 * (high - low)
    assert average_precision_interval(few, draws=200) == (low, high)
    same = average_precision_interval([few[0]] * 5, draws=20)
    assert same[0] == same[1] == pytest.approx(pooled_figures([few[0]]).average_precision)
