import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from facepipe.evaluation.quality import (
    CURVES,
    calibration,
    errors_after_reject,
    fit_quality,
    match_survival,
    rank_correlation,
    threshold_at,
)
from facepipe.models.face_quality import MEASURES

Floats = npt.NDArray[np.float64]
SEED = 17


def random_measures(count: int, rng: np.random.Generator) -> dict[str, Floats]:
    return {name: rng.uniform(CURVES[name].knots[0], CURVES[name].knots[-1], count) for name in MEASURES}


def test_planted_curves_are_found_again() -> None:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    measures = random_measures(4000, rng)
    logit = 8 * measures["sharpness"] - 0.04 * measures["roll"] - 4 * measures["noise"] + 1
    survival = rng.random(4000) < expit(logit)
    quality = fit_quality(measures, survival.astype(float))
    unseen = random_measures(1000, rng)
    truth = expit(8 * unseen["sharpness"] - 0.04 * unseen["roll"] - 4 * unseen["noise"] + 1)
    flat = unseen | {"yaw": np.zeros(1000), "pitch": np.zeros(1000)}  # whose falls are set, not fitted
    assert rank_correlation(quality(flat), truth) > 0.95


def test_curves_keep_their_direction_against_the_data() -> None:
    rng = np.random.default_rng(SEED)
    measures = random_measures(1000, rng)
    perverse = expit(-10 * (measures["sharpness"] - 0.3) + 5 * (measures["noise"] - 0.4))
    terms = fit_quality(measures, perverse).terms
    np.testing.assert_allclose(terms["sharpness"].values, 0, atol=1e-9)
    np.testing.assert_allclose(terms["noise"].values, 0, atol=1e-9)


def test_profiles_lose_trust_though_no_data_show_it() -> None:
    measures = random_measures(500, np.random.default_rng(SEED)) | {"yaw": np.zeros(500), "pitch": np.zeros(500)}
    terms = fit_quality(measures, np.full(500, 0.9)).terms
    assert terms["yaw"].values[-1] <= -3
    assert terms["pitch"].values[-1] <= -3


def test_typical_is_the_mean_of_what_a_measure_adds() -> None:
    rng = np.random.default_rng(SEED)
    measures = random_measures(600, rng)
    quality = fit_quality(measures, expit(5 * measures["inside"] - 3))
    for name in MEASURES:
        assert quality.terms[name].typical == pytest.approx(quality.terms[name](measures[name]).mean())


def test_match_survival_counts_the_persons_other_photos() -> None:
    references = np.eye(4)[[0, 0, 1, 2, 2]] @ np.eye(4)  # (5, 4): two of one person, one and two of others
    people = np.array(["a", "a", "b", "b", "b"])
    faces = np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])
    survival = match_survival(faces, np.array([0, 2, 3]), people, references, 0.5)
    np.testing.assert_allclose(survival, [1, 1, 0])
    np.testing.assert_allclose(match_survival(faces[:1], np.array([2]), people, references, 0.5), [0])


def test_threshold_lets_the_rate_pass() -> None:
    rng = np.random.default_rng(SEED)
    vectors = rng.normal(size=(120, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    people = np.repeat(np.arange(60).astype(str), 2)
    threshold = threshold_at(vectors, people, 0.01)
    above = [
        float(vectors[i] @ vectors[j]) >= threshold
        for i in range(120)
        for j in range(i + 1, 120)
        if people[i] != people[j]
    ]
    assert np.mean(above) == pytest.approx(0.01, abs=0.001)


def test_errors_after_reject() -> None:
    confidence = np.array([0.9, 0.1, 0.5, 0.2])
    wrong = np.array([False, True, False, True])
    assert errors_after_reject(confidence, wrong, (0.0, 0.25, 0.5)) == {
        "0": 0.5,
        "0.25": pytest.approx(1 / 3),
        "0.5": 0.0,
    }


def test_rank_correlation_and_calibration() -> None:
    values = np.array([0.1, 0.4, 0.35, 0.8, 1.0])
    assert rank_correlation(values, values**3) == pytest.approx(1)
    assert rank_correlation(values, np.ones(5)) == 0
    rows = calibration(values, values / 2, bins=2)
    assert [row["faces"] for row in rows] == [3, 2]
    assert rows[1] == {"faces": 2, "quality": pytest.approx(0.9), "survival": pytest.approx(0.45)}
