import numpy as np
import pytest

from facepipe.training.calibration import calibrate


def test_a_known_slope_is_found_again() -> None:
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 3, 20_000)
    is_face = rng.random(20_000) < 1 / (1 + np.exp(-(0.6 * logit - 1.2)))
    slope, intercept = calibrate(logit, is_face, np.ones(20_000))
    assert slope == pytest.approx(0.6, abs=0.03)
    assert intercept == pytest.approx(-1.2, abs=0.06)


def test_weights_count_as_repetitions_do() -> None:
    rng = np.random.default_rng(1)
    logit, is_face = rng.normal(0, 2, 50), rng.random(50) < 0.5
    weight = rng.integers(1, 4, 50)
    repeated = calibrate(np.repeat(logit, weight), np.repeat(is_face, weight), np.ones(weight.sum()))
    assert calibrate(logit, is_face, weight.astype(float)) == pytest.approx(repeated)


@pytest.mark.parametrize("is_face", [[True] * 6, [False] * 6, [False] * 3 + [True] * 3])
def test_detections_of_one_kind_or_well_apart_give_finite_numbers(is_face: list[bool]) -> None:
    logit = np.array([-9.0, -8, -7, 7, 8, 9])
    slope, intercept = calibrate(logit, np.array(is_face), np.ones(6))
    assert 0 < slope < 5
    assert abs(intercept) < 10


def test_no_detections_change_nothing() -> None:
    assert calibrate(np.empty(0), np.empty(0, bool), np.empty(0)) == (1.0, 0.0)
