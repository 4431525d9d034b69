import numpy as np
import pytest

from facepipe.clustering import neighbor_search
from facepipe.clustering.inverted_lists import (
    ANY_NEAREST,
    Request,
    Shard,
    merged,
    nearest_centroids,
    requests_of,
    train_centroids,
)
from facepipe.clustering.knn import nearest_neighbors
from facepipe.clustering.neighbor_search import LEAST_RECALL, mean_recall, search_neighbors
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


def recall_of_all(embeddings: np.ndarray, found: np.ndarray, k: int) -> float:
    exact = nearest_neighbors(embeddings, k)
    return mean_recall(found, exact.ids, exact.similarities >= CLOSE)


@pytest.mark.parametrize("seed", range(3))
def test_lists_find_nearly_all_close_neighbours(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbor_search, "FIRST_PROBES", 8)
    embeddings = people(seed)
    searched = search_neighbors(embeddings, 12, CLOSE, exhaustive_faces=0)
    recall = recall_of_all(embeddings, searched.neighbors.ids, 12)
    assert recall >= LEAST_RECALL - 0.02, seed
    assert searched.recall == pytest.approx(recall, abs=0.03), "the recall measured on a sample is that of all faces"
    assert 0 < searched.probes < 100


@pytest.mark.parametrize("seed", range(3))
def test_people_with_few_faces_are_found_as_well_as_others(seed: int) -> None:
    embeddings = np.concatenate([people(seed, count=20, each=200), people(seed + 10, count=1000, each=2)])
    searched = search_neighbors(embeddings, 30, CLOSE, exhaustive_faces=0)
    exact = nearest_neighbors(embeddings, 30)
    is_close = exact.similarities >= CLOSE
    assert mean_recall(searched.neighbors.ids[4000:], exact.ids[4000:], is_close[4000:]) >= 0.93


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


def test_search_widens_until_the_recall_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbor_search, "FIRST_PROBES", 4)
    spread_out = people(2, count=4000, each=1, spread=0.0, dimension=6)  # no lists here: neighbours lie all around
    searched = search_neighbors(spread_out, 40, 0.5, exhaustive_faces=0)
    assert searched.probes > 4
    assert searched.recall >= LEAST_RECALL


def test_faces_that_are_all_equal() -> None:
    embeddings = np.repeat(people(3, count=1, each=1), 600, axis=0)
    neighbors = search_neighbors(embeddings, 5, CLOSE, exhaustive_faces=0).neighbors
    assert neighbors.similarities.min() == pytest.approx(1)
    assert (neighbors.ids != np.arange(600)[:, None]).all()


def test_lonely_faces_find_their_nearest_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbor_search, "FIRST_PROBES", 2)
    monkeypatch.setattr(neighbor_search, "LEAST_RECALL", 0.0)
    alone = people(6, count=8, each=1)
    embeddings = np.concatenate([np.repeat(people(5, count=2, each=1), 400, axis=0), alone])
    neighbors = search_neighbors(embeddings, 12, CLOSE, exhaustive_faces=0).neighbors
    exact = nearest_neighbors(embeddings, 12)
    assert (neighbors.ids >= 0).all()
    assert np.allclose(neighbors.similarities[-8:], exact.similarities[-8:], atol=1e-6)


def by_hand(embeddings: np.ndarray, list_of: np.ndarray, request: Request, k: int) -> list[list[int]]:
    """The slow twin of a search: each query against each face."""
    nearest = []
    for query, probed in zip(request.queries, request.probed.tolist(), strict=True):
        similarities = embeddings @ query
        any_near = np.flatnonzero(np.isin(list_of, probed[:ANY_NEAREST]))
        close = np.flatnonzero(np.isin(list_of, probed[ANY_NEAREST:]) & (similarities >= request.close))
        candidates = np.concatenate([any_near, close])
        nearest.append(candidates[np.argsort(-similarities[candidates], kind="stable")][:k].tolist())
    return nearest


def test_shards_find_together_what_one_finds_and_what_is_there() -> None:
    embeddings = people(4)
    centroids = train_centroids(embeddings, 50)
    list_of = nearest_centroids(embeddings, centroids, 1)[:, 0]
    rows = np.arange(len(embeddings))
    whole = Shard(embeddings, rows, list_of, 50)
    parts = [Shard(embeddings[part], part, list_of[part], 50) for part in np.split(rows, [7, 1500])]
    request = next(requests_of(embeddings, centroids, rows[::20], 9, CLOSE))
    assert (request.probed[:, 0] == list_of[::20]).all()
    one, several = whole.search(request, 20), merged([part.search(request, 20) for part in parts], 20)
    assert np.allclose(one.similarities, several.similarities, atol=1e-6)
    assert (one.ids == several.ids).mean() > 0.999  # equally near ones may change places
    for found, expected in zip(one.ids.tolist(), by_hand(embeddings, list_of, request, 20), strict=True):
        assert set(found) - {-1} == set(expected)


def test_recall_is_the_mean_over_faces() -> None:
    found = np.array([[1, 2, 3], [5, 6, 7], [8, 9, 0]])
    wanted = np.array([[1, 3, 9, 4], [5, 0, 0, 0], [0, 0, 0, 0]])
    counts = np.array([[True, True, True, True], [True, False, False, False], [False] * 4])
    assert mean_recall(found, wanted, counts) == 0.75
    assert mean_recall(found, wanted, np.zeros_like(counts)) == 1.0


def test_vectors_that_are_not_of_unit_length_are_refused() -> None:
    embeddings = people(5)
    embeddings[17] = np.nan
    with pytest.raises(FacepipeError, match="face 17"):
        search_neighbors(embeddings, 5, CLOSE, exhaustive_faces=0)
