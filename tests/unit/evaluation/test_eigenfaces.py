"""Eigenfaces on made faces: people are combinations of a few patterns, photos are noisy and lit differently."""

import numpy as np

from facepipe.evaluation.eigenfaces import SIZE, Eigenfaces
from facepipe.evaluation.lfw import area_under_roc


def made_faces(people: int, photos: int, seed: int) -> np.ndarray:
    rng, patterns = np.random.default_rng(seed), np.random.default_rng(0).normal(size=(12, 8, 8))
    own = rng.normal(size=(people, 12))
    weights = np.repeat(own, photos, axis=0) + 0.2 * rng.normal(size=(people * photos, 12))
    small = np.tensordot(weights, patterns, 1)
    faces = np.kron(small, np.ones((SIZE // 8, SIZE // 8))) * 12 + rng.uniform(80, 170, (len(small), 1, 1))
    return np.repeat(np.clip(faces, 0, 255).astype(np.uint8)[..., None], 3, axis=3)


def test_people_are_told_apart_whom_it_was_not_fitted_to() -> None:
    fitted = Eigenfaces.of(made_faces(40, 2, seed=1))
    embeddings = fitted.embed(made_faces(20, 2, seed=2))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    rows, columns = np.triu_indices(40, 1)
    assert area_under_roc((embeddings @ embeddings.T)[rows, columns], rows // 2 == columns // 2) > 0.95


def test_no_faces_give_no_embeddings_of_few_faces_few_numbers() -> None:
    fitted = Eigenfaces.of(made_faces(5, 2, seed=1))
    assert fitted.embed(made_faces(3, 1, seed=3)).shape == (3, 5)
