import numpy as np
import pytest

from facepipe.clustering.principal_subspace import in_principal_subspace


def unit_vectors(count: int, dimension: int, rank: int, noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, rank)) @ rng.normal(size=(rank, dimension)) / np.sqrt(rank)
    vectors += noise * rng.normal(size=vectors.shape)
    unit: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.mark.parametrize(("rank", "kept"), [(10, 16), (16, 16), (17, 32), (40, 48)])
def test_vectors_of_few_directions_need_few_numbers(rank: int, kept: int) -> None:
    embeddings = unit_vectors(500, 64, rank, 0.002)
    compact = in_principal_subspace(embeddings)
    assert compact.shape == (500, kept)
    assert compact.dtype == np.float32
    assert np.abs(compact @ compact.T - embeddings @ embeddings.T).max() < 1e-3


def test_vectors_that_fill_their_space_stay_as_they_are() -> None:
    embeddings = unit_vectors(300, 32, 32, 0.0)
    assert in_principal_subspace(embeddings) is embeddings


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_vectors_keep_their_products(count: int) -> None:
    embeddings = unit_vectors(count, 40, 40, 0.0)
    compact = in_principal_subspace(embeddings)
    assert len(compact) == count
    assert np.allclose(compact @ compact.T, embeddings @ embeddings.T, atol=1e-5)
