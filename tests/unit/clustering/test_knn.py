import numpy as np
import pytest

from facepipe.clustering.knn import nearest_among, nearest_neighbors
from facepipe.errors import FacepipeError


def unit_vectors(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


@pytest.mark.parametrize("queries_at_once", [1, 7, 1000])
def test_neighbours_equal_the_sorted_table_of_cosines(queries_at_once: int) -> None:
    embeddings = unit_vectors(50)
    neighbors = nearest_neighbors(embeddings, 5, queries_at_once)
    cosines = embeddings.astype(np.float64) @ embeddings.T.astype(np.float64)
    np.fill_diagonal(cosines, -np.inf)
    assert (neighbors.ids == np.argsort(-cosines, axis=1)[:, :5]).all()
    assert np.allclose(neighbors.similarities, -np.sort(-cosines, axis=1)[:, :5], atol=1e-6)
    assert neighbors.ids.dtype == np.int64
    assert neighbors.similarities.dtype == np.float32


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_fewer_faces_than_asked_for_give_as_many_as_there_are(count: int) -> None:
    neighbors = nearest_neighbors(unit_vectors(count), 10)
    assert neighbors.ids.shape == neighbors.similarities.shape == (count, max(count - 1, 0))
    assert all(sorted([row, *others]) == list(range(count)) for row, others in enumerate(neighbors.ids.tolist()))


def test_same_vectors_are_neighbours_but_never_a_face_of_itself() -> None:
    embeddings = np.concatenate([np.repeat(unit_vectors(1), 9, axis=0), unit_vectors(3, seed=1)])
    neighbors = nearest_neighbors(embeddings, 4)  # fewer than there are copies: a face may miss itself
    assert (neighbors.ids != np.arange(12)[:, None]).all()
    assert all(len(set(row)) == 4 for row in neighbors.ids.tolist())
    assert (neighbors.ids[:9] < 9).all()
    assert np.allclose(neighbors.similarities[:9], 1, atol=1e-6)
    assert (neighbors.similarities <= 1).all()


def test_equally_near_ones_come_in_order_of_their_rows() -> None:
    embeddings = np.eye(8, dtype=np.float32)
    assert nearest_neighbors(embeddings, 7).ids[3].tolist() == [0, 1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("queries_at_once", [1, 7, 1000])
def test_the_nearest_among_others_equal_the_sorted_table_of_cosines(queries_at_once: int) -> None:
    queries, embeddings = unit_vectors(20, seed=1), unit_vectors(50)
    nearest = nearest_among(queries, embeddings, 5, queries_at_once)
    cosines = queries.astype(np.float64) @ embeddings.T.astype(np.float64)
    assert (nearest.ids == np.argsort(-cosines, axis=1)[:, :5]).all()
    assert np.allclose(nearest.similarities, -np.sort(-cosines, axis=1)[:, :5], atol=1e-6)
    assert nearest_among(queries, embeddings[:3], 5).ids.shape == (20, 3)
    assert nearest_among(queries, embeddings[:0], 5).ids.shape == (20, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 2.0])
def test_a_bad_embedding_is_named(value: float) -> None:
    embeddings = unit_vectors(5)
    embeddings[3] *= value
    with pytest.raises(FacepipeError, match=r"1 of 5 face embeddings .* face 3.*extract --redo"):
        nearest_neighbors(embeddings, 2)
