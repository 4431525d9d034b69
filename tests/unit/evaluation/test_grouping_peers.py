import numpy as np
import pytest
from scipy.spatial.distance import pdist

from facepipe.errors import WrongUsageError
from facepipe.evaluation import grouping_peers
from facepipe.evaluation.grouping_peers import PEERS, Peer, dbscan
from facepipe.evaluation.pair_distances import condensed_distances, pairs_nearer_than

PLANTED_SETTINGS = {
    "dbscan": 0.7,
    "chinese_whispers": 0.7,
    "hac_average": 0.9,
    "hdbscan": 1.0,
    "rank_order": 0.3,
    "two_measure_cut": 0.9,
}


def planted(seed: int, people: int, each: int, spread: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Faces (people * each, 128) around random directions, in random order, and who they are."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(people), each))
    centres = rng.normal(size=(people, 128))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    faces = centres[truth] + spread * rng.normal(size=(len(truth), 128)) / np.sqrt(128)
    return (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32), truth


def as_sets(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist()) if label >= 0}


def test_every_peer_is_tried() -> None:
    assert set(PLANTED_SETTINGS) == set(PEERS)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("seed", range(2))
def test_planted_people_are_recovered(name: str, seed: int) -> None:
    # Lists of rank-order are longer than small people: it is given people of as many faces as its lists hold.
    embeddings, truth = planted(seed, people=8, each=23) if name == "rank_order" else planted(seed, people=30, each=5)
    labels = PEERS[name].group(embeddings, PLANTED_SETTINGS[name], seed)
    assert as_sets(labels) == as_sets(truth), (name, seed)
    assert set(labels.tolist()) == set(range(len(set(truth.tolist()))))


@pytest.mark.parametrize("name", sorted(set(PEERS) - {"rank_order", "hdbscan"}))
def test_a_face_like_no_other_is_unassigned(name: str) -> None:
    embeddings, _ = planted(0, people=3, each=4)
    alone, _ = planted(9, people=1, each=1)
    labels = PEERS[name].group(np.concatenate([embeddings, alone]), PLANTED_SETTINGS[name], 0)
    assert labels[-1] == -1
    assert (labels[:-1] >= 0).all()


@pytest.mark.parametrize("name", PEERS)
def test_few_faces(name: str) -> None:
    embeddings, _ = planted(0, people=1, each=3)
    for count in (0, 1):
        assert PEERS[name].group(embeddings[:count], PEERS[name].settings[0], 0).tolist() == [-1] * count
    for count in (2, 3):
        assert len(PEERS[name].group(embeddings[:count], PEERS[name].settings[-1], 0)) == count


def test_too_many_faces_are_refused() -> None:
    with pytest.raises(WrongUsageError, match="3 faces are too many for this method: 2 at most"):
        Peer(dbscan, "eps", (0.5,), most_faces=2).group(planted(0, people=1, each=3)[0], 0.5)


def test_the_two_measures_both_count() -> None:
    # A chain: neighbours 0.6 apart (Euclidean) in a plane; single linkage alone, and average linkage at 2, join it all.
    angle = 2 * np.arcsin(0.3) * np.arange(8)
    chain = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    cut = PEERS["two_measure_cut"]
    assert set(cut.group(chain, 2.0).tolist()) == {0}
    assert len(as_sets(cut.group(chain, 0.7))) > 1
    apart = np.stack([np.cos([0.0, 1.2]), np.sin([0.0, 1.2])], axis=1).astype(np.float32)  # 1.13 apart
    assert cut.group(apart, 2.0).tolist() == [-1, -1]


@pytest.mark.parametrize("count", [0, 1, 2, 1500])
def test_distances_of_pairs(count: int) -> None:
    embeddings = np.random.default_rng(count).normal(size=(count, 8)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    true = pdist(embeddings.astype(np.float64)) if count > 1 else np.zeros(0)
    np.testing.assert_allclose(condensed_distances(embeddings), true, atol=1e-3)
    near = pairs_nearer_than(embeddings, 0.8)
    left, right = np.triu_indices(count, 1)
    clear = np.abs(true - 0.8) > 1e-5
    wanted = set(zip(left[clear & (true < 0.8)].tolist(), right[clear & (true < 0.8)].tolist(), strict=True))
    unclear = set(zip(left[~clear].tolist(), right[~clear].tolist(), strict=True))
    assert {(a, b) for a, b in near.tolist()} - unclear == wanted - unclear
    assert near.tolist() == sorted(near.tolist())


def test_hdbscan_finds_the_same_without_a_table_of_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, _ = planted(5, people=40, each=3, spread=0.9)
    with_table = PEERS["hdbscan"].group(embeddings, 1.05)
    monkeypatch.setattr(grouping_peers, "HDBSCAN_TABLE_FACES", 0)
    assert PEERS["hdbscan"].group(embeddings, 1.05).tolist() == with_table.tolist()
    assert len(as_sets(with_table)) > 1
