import numpy as np
import pytest

from facepipe.training.hog.classifier import (
    COST,
    INTERCEPT_SCALE,
    histograms,
    train_classifier,
    train_codebook,
    train_places,
)

PLACES, WORDS = 9, 5


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_histograms_window_by_window(rng: np.random.Generator) -> None:
    words = rng.integers(0, WORDS, (6, PLACES)).astype(np.uint16)
    found = histograms(words, WORDS).toarray()
    for window, row in zip(words, found, strict=True):
        slow = np.concatenate([np.bincount([word], minlength=WORDS) for word in window])
        assert (row == slow).all()


def test_planted_words_are_found(rng: np.random.Generator) -> None:
    planted = rng.normal(size=(4, 12)).astype(np.float32)
    blocks = planted[rng.integers(0, 4, 400)] + rng.normal(0, 0.01, (400, 12)).astype(np.float32)
    words = train_codebook(blocks, 4, seed=3)
    assert words.shape == (4, 12)
    assert (np.abs(words[:, None] - planted[None]).max(axis=2).min(axis=0) < 0.02).all()
    assert (train_codebook(blocks, 4, seed=3) == words).all()


def test_the_classifier_is_the_least_of_the_machines_objective(rng: np.random.Generator) -> None:
    """At the minimum of |w|^2 / 2 + C sum max(0, 1 - y f)^2 each weight is 2 C times its sum of y (1 - y f)."""
    faces = rng.integers(0, WORDS, (60, PLACES))
    faces[:, :3] = rng.integers(0, 2, (60, 3))
    others = rng.integers(0, WORDS, (200, PLACES))
    found = train_classifier(faces, others, WORDS)
    assert found.tables.shape == (3, 3, WORDS)
    inputs = histograms(np.concatenate([faces, others]), WORDS).toarray()
    label = np.repeat([1, -1], [60, 200])
    weights, margin = found.tables.ravel(), label * (inputs @ found.tables.ravel() + found.bias)
    pull = 2 * COST * (label * np.maximum(1 - margin, 0)) @ inputs
    assert np.abs(weights - pull).max() < 0.02 * np.abs(weights).max()
    pull_of_bias = 2 * COST * INTERCEPT_SCALE**2 * (label * np.maximum(1 - margin, 0)).sum()
    assert found.bias == pytest.approx(pull_of_bias, rel=0.02)
    assert found.tables[0, 0, :2].min() > found.tables[0, 0, 2:].max(), "the planted words speak for a face"


def test_what_words_tell_of_places_is_learned(rng: np.random.Generator) -> None:
    words = rng.integers(0, WORDS, (6000, PLACES))
    told = rng.normal(0, 0.05, (PLACES, WORDS, 4))
    told -= told.mean(axis=1, keepdims=True)
    places = told[np.arange(PLACES), words].sum(axis=1) + rng.normal([0, 0.1, 0.5, 0.7], 0.01, (6000, 4))
    mean, tables = train_places(words, places.astype(np.float32), WORDS)
    assert mean == pytest.approx([0, 0.1, 0.5, 0.7], abs=0.02)
    assert tables.shape == (3, 3, WORDS, 4)
    learned = tables.reshape(PLACES, WORDS, 4)
    assert np.abs(learned - learned.mean(axis=1, keepdims=True) - told).max() < 0.02
