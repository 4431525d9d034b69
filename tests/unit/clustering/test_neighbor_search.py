import numpy as np
import pytest

from facepipe.clustering.inverted_lists import (
    Found,
    Request,
    Shard,
    make_lists,
    merged,
    nearest_centroids,
    train_centroids,
)
from facepipe.clustering.knn import nearest_neighbors
from facepipe.clustering.neighbor_search import LEAST_RECALL, recall_of, search_neighbors
from facepipe.errors import FacepipeError

CLOSE = 0.6


def people(seed: int, count: int = 400, each: int = 10, spread: float = 0.7, dimension: int = 32) -> np.ndarray:
    """Faces of people, shuffled: each a centre with noise."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(count, dimension)), each, axis=0)
    faces = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    faces += spread * rng.normal(size=faces.shape) / np.sqrt(dimension)
    unit: np.ndarray = (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)
    return rng.permutation(unit)


def share_found(embeddings: np.ndarray, found: np.ndarray, k: int) -> float:
    exact = nearest_neighbors(embeddings, k)
    close = exact.similarities >= CLOSE
    hits = sum(int(np.isin(ids[near], row).sum()) for ids, near, row in zip(exact.ids, close, found, strict=True))
    return hits / int(close.sum())


@pytest.mark.parametrize("seed", range(3))
def test_lists_find_nearly_all_close_neighbours(seed: int) -> None:
    embeddings = people(seed)
    searched = search_neighbors(embeddings, 12, CLOSE, exhaustive_faces=0)
    share = share_found(embeddings, searched.neighbors.ids, 12)
    assert share >= LEAST_RECALL - 0.02, seed
    assert searched.recall == pytest.approx(share, abs=0.03), "the recall measured on a sample is that of all faces"
    assert 0 < searched.probes < 180


def test_similarities_are_those_of_the_faces_named_nearest_first_and_never_of_the_face_itself() -> None:
    embeddings = people(0)
    ids, similarities = search_neighbors(embeddings, 12, CLOSE, exhaustive_faces=0).neighbors
    assert ids.shape == similarities.shape == (4000, 12)
    assert (ids != np.arange(4000)[:, None]).all()
    assert np.allclose(similarities, np.einsum("nd,nkd->nk", embeddings, embeddings[ids]), atol=1e-5)
    assert (np.diff(similarities, axis=1) <= 0).all()
    assert all(len(set(row)) == 12 for row in ids.tolist())


def test_few_faces_are_searched_exhaustively() -> None:
    embeddings = people(1, count=20)
    searched = search_neighbors(embeddings, 5, CLOSE)
    assert (searched.recall, searched.probes) == (1.0, 0)
    assert (searched.neighbors.ids == nearest_neighbors(embeddings, 5).ids).all()


def test_search_widens_until_the_recall_suffices() -> None:
    spread_out = people(2, count=4000, each=1, spread=0.0, dimension=6)  # no lists here: neighbours lie all around
    searched = search_neighbors(spread_out, 40, 0.5, exhaustive_faces=0)
    assert searched.probes > 8
    assert searched.recall >= LEAST_RECALL


def test_faces_that_are_all_equal() -> None:
    embeddings = np.repeat(people(3, count=1, each=1), 600, axis=0)
    neighbors = search_neighbors(embeddings, 5, CLOSE, exhaustive_faces=0).neighbors
    assert neighbors.similarities.min() == pytest.approx(1)
    assert (neighbors.ids != np.arange(600)[:, None]).all()


def test_shards_find_together_what_one_finds() -> None:
    embeddings = people(4)
    centroids = train_centroids(embeddings, 50)
    list_of = nearest_centroids(embeddings, centroids)
    lists = make_lists(list_of, centroids)
    assert sorted(lists.rows.tolist()) == list(range(len(embeddings)))
    rows = np.arange(len(embeddings))
    whole = Shard(embeddings, rows, list_of, 50)
    parts = [Shard(embeddings[part], part, list_of[part], 50) for part in np.split(rows, [7, 1500])]
    request = Request(embeddings[lists.members(3)], lists.probed(3, 4, 20))
    one, several = whole.search(request, 20), merged([part.search(request, 20) for part in parts], 20)
    assert np.allclose(one.similarities, several.similarities, atol=1e-6)
    assert (one.ids == several.ids).mean() > 0.999  # equally near ones may change places


def test_lists_are_probed_until_they_hold_enough() -> None:
    centroids = np.eye(4, dtype=np.float32)
    lists = make_lists(np.array([0, 1, 1, 2, 2, 2, 3]), centroids)
    assert lists.probed(0, 1, 1).tolist() == [0]
    assert lists.probed(0, 1, 2).tolist() == [0, 1]
    assert lists.probed(0, 1, 7).tolist() == [0, 1, 2, 3]
    assert lists.probed(2, 2, 1).tolist() == [2, 0]


def test_recall() -> None:
    found = [
        Found(np.array([[1, 2, 3]]), np.ones((1, 3), np.float32)),
        Found(np.array([[5]]), np.ones((1, 1), np.float32)),
    ]
    assert recall_of(found, [np.array([1, 3, 9]), np.array([5])]) == 0.75
    assert recall_of([], []) == 1.0


def test_vectors_that_are_not_of_unit_length_are_refused() -> None:
    embeddings = people(5)
    embeddings[17] = np.nan
    with pytest.raises(FacepipeError, match="face 17"):
        search_neighbors(embeddings, 5, CLOSE, exhaustive_faces=0)
