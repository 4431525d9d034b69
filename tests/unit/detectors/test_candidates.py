import numpy as np
import pytest

from facepipe.detectors.candidates import Candidates, concatenate


def candidates(photo: list[int], level: list[int], box: list[list[float]], score: list[float]) -> Candidates:
    count = len(photo)
    return Candidates(
        photo=np.array(photo),
        level=np.array(level),
        box=np.array(box, dtype=np.float32),
        score=np.array(score, dtype=np.float32),
        offsets=np.tile(np.array([0.1, 0, 0, -0.1], dtype=np.float32), (count, 1)),
        landmarks=np.arange(count, dtype=np.float32)[:, None, None] * np.ones((1, 5, 2), dtype=np.float32),
    )


SAME = [[0.0, 0.0, 10.0, 20.0]] * 4


def test_suppression_keeps_photos_apart_and_levels_only_if_asked() -> None:
    faces = candidates([0, 0, 1, 1], [0, 1, 2, 3], SAME, [0.5, 0.6, 0.8, 0.7])
    assert faces.suppress(0.5).score.tolist() == pytest.approx([0.6, 0.8])
    assert len(faces.suppress(0.5, by_level=True)) == 4


def test_all_fields_of_a_row_stay_together() -> None:
    faces = candidates([0, 0], [0, 0], [[0, 0, 10, 10], [50, 0, 60, 10]], [0.5, 0.6])
    best = faces.suppress(0.5)
    assert best.landmarks[:, 0, 0].tolist() == [1, 0]
    assert best.box[:, 0].tolist() == [50, 0]


def test_moving_uses_the_offsets_up() -> None:
    moved = candidates([0] * 4, [0] * 4, SAME, [1.0] * 4).move()
    np.testing.assert_allclose(moved.box[0], [1, 0, 10, 18])
    np.testing.assert_array_equal(moved.move().box, moved.box)


def test_nothing_is_still_typed() -> None:
    nothing = concatenate([])
    assert len(nothing) == 0
    assert len(nothing.suppress(0.5).move()) == 0
    assert nothing.box.dtype == np.float32
    both = concatenate([nothing, candidates([0], [0], SAME[:1], [0.5])])
    assert len(both) == 1
    assert both.photo.dtype == np.intp
    assert both.box.dtype == np.float32
