import numpy as np
import pytest

from facepipe.clustering.constraints import Known, nothing_known
from facepipe.clustering.grouping import GroupingSettings, group_faces
from facepipe.errors import FacepipeError


def planted(seed: int, people: int = 20, each: int = 6, spread: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """Faces (people * each, 64) around random directions, and who they are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, 64))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    truth = np.repeat(np.arange(people), each)
    noise = rng.normal(size=(len(truth), 64)) / np.sqrt(64)
    faces = centres[truth] + spread * noise
    return (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32), truth


def as_sets(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist()) if label >= 0}


@pytest.mark.parametrize("seed", range(3))
def test_planted_people_are_recovered(seed: int) -> None:
    embeddings, truth = planted(seed)
    grouping = group_faces(embeddings, np.arange(len(truth)))
    assert as_sets(grouping.labels) == as_sets(truth), seed
    assert (grouping.probabilities > 0.9).all()
    assert grouping.neighbors.ids.shape == (len(truth), 64)


def test_two_faces_of_one_photo_are_two_people() -> None:
    embeddings = np.repeat(planted(0, people=1, each=1)[0], 4, axis=0)
    grouping = group_faces(embeddings, np.array([0, 0, 1, 1]))
    assert len(set(grouping.labels.tolist())) == 2
    assert grouping.labels[0] != grouping.labels[1]
    assert grouping.labels[2] != grouping.labels[3]


def test_a_person_is_on_two_photos() -> None:
    embeddings, _ = planted(0, people=2, each=2)
    assert group_faces(embeddings, np.array([0, 1, 2, 2])).labels.tolist() == [0, 0, -1, -1]


def test_copies_do_not_split_a_man_nor_join_look_alikes() -> None:
    # One man on eight photos, four of them copies of one; by density alone the copies would be a person of their own.
    faces, _ = planted(3, people=2, each=5, spread=0.55)
    embeddings = np.concatenate([faces[:5], np.repeat(faces[:1], 4, axis=0), faces[5:]])
    labels = group_faces(embeddings, np.arange(len(embeddings))).labels
    assert labels.tolist() == [0] * 9 + [1] * 5


def test_a_chain_of_look_alikes_is_cut() -> None:
    # Neighbours are 0.4 apart, so that single linkage joins them all, but the ends are nearly 2 apart.
    angles = np.radians(np.arange(8) * 23.1)
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = group_faces(embeddings, np.arange(8)).labels
    assert labels[0] != labels[7]
    assert (np.diff(np.flatnonzero(labels == labels[0])) == 1).all()


def test_faces_without_a_vote_form_no_people_and_join_only_when_allowed() -> None:
    embeddings, truth = planted(1, people=3, each=4)
    votes = (truth != 2) & (np.arange(12) != 0)
    alone = group_faces(embeddings, np.arange(12), votes=votes)
    assert alone.labels.tolist() == [-1, 0, 0, 0, 1, 1, 1, 1, -1, -1, -1, -1]
    joined = group_faces(embeddings, np.arange(12), GroupingSettings(attach_distance=0.9), votes)
    assert joined.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, -1, -1, -1, -1]
    assert (joined.probabilities > 0.9).tolist() == [label >= 0 for label in joined.labels.tolist()]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_faces_are_nobody(count: int) -> None:
    grouping = group_faces(np.eye(2, dtype=np.float32)[:count], np.zeros(count, np.int64))
    assert grouping.labels.tolist() == [-1] * count
    assert grouping.probabilities.tolist() == [0] * count
    assert grouping.neighbors.ids.shape == (count, 0)


def test_neighbours_are_rows_of_the_caller() -> None:
    embeddings, _ = planted(4, people=3, each=3)
    neighbors = group_faces(embeddings, np.arange(9), GroupingSettings(neighbors=2)).neighbors
    cosines = embeddings @ embeddings.T
    np.fill_diagonal(cosines, -2)
    assert (neighbors.ids == np.argsort(-cosines, axis=1)[:, :2]).all()


def test_a_broken_embedding_is_one_clear_sentence() -> None:
    embeddings, _ = planted(0, people=2, each=2)
    embeddings[1] = np.nan
    with pytest.raises(FacepipeError, match="unit length"):
        group_faces(embeddings, np.arange(4))


def known(count: int, owners: dict[int, int], barred: list[tuple[int, int]] | None = None) -> Known:
    """Owners by face."""
    result = nothing_known(count)
    for face, owner in owners.items():
        result.owners[face] = owner
    return result._replace(barred=np.array(barred or [], np.int64).reshape(-1, 2))


def test_faces_of_one_owner_are_one_person_however_far_apart() -> None:
    faces, truth = planted(1, people=3, each=4)
    grouping = group_faces(faces, np.arange(12), known=known(12, {0: 5, 4: 5}))
    assert grouping.labels[0] == grouping.labels[4]
    assert grouping.owners == {int(grouping.labels[0]): 5}
    assert as_sets(group_faces(faces, np.arange(12)).labels) == as_sets(truth)


def test_two_faces_of_one_photo_are_one_person_where_a_user_says_so() -> None:
    faces, _ = planted(1, people=1, each=4)
    photos = np.array([0, 0, 1, 2])
    assert len(set(group_faces(faces, photos).labels[:2].tolist())) == 2
    assert group_faces(faces, photos, known=known(4, {0: 0, 1: 0})).labels.tolist() == [0, 0, 0, 0]


def test_a_single_face_that_a_user_names_is_a_person() -> None:
    faces, _ = planted(1, people=2, each=1)
    grouping = group_faces(faces, np.arange(2), known=known(2, {1: 3}))
    assert grouping.labels.tolist() == [-1, 0]
    assert grouping.owners == {0: 3}
    assert (grouping.probabilities < 1e-4).all()
    assert group_faces(faces[:1], np.arange(1), known=known(1, {0: 3})).labels.tolist() == [0]


def test_different_owners_never_come_together() -> None:
    faces, _ = planted(2, people=1, each=8)
    grouping = group_faces(faces, np.arange(8), known=known(8, {0: 0, 7: 1}))
    assert grouping.labels[0] != grouping.labels[7]
    assert set(grouping.labels.tolist()) == {0, 1}, "the split costs no face its person"


def test_a_barred_face_leaves_alone_and_nobody_else() -> None:
    faces, _ = planted(2, people=1, each=8)
    grouping = group_faces(faces, np.arange(8), known=known(8, dict.fromkeys(range(4), 2), [(7, 2)]))
    (person,) = (label for label, owner in grouping.owners.items() if owner == 2)
    assert grouping.labels[7] != person
    assert (grouping.labels[:4] == person).all()


def test_what_is_known_does_not_depend_on_the_order_of_rows() -> None:
    faces, _ = planted(5, people=6, each=5, spread=0.7)
    told = known(30, {0: 0, 5: 0, 12: 1, 13: 2}, [(7, 0), (20, 1)])
    order = np.random.default_rng(0).permutation(30)
    mixed = group_faces(faces[order], np.arange(30)[order], known=told.of(order)).labels
    straight = group_faces(faces, np.arange(30), known=told).labels
    back = np.empty(30, np.int64)
    back[order] = mixed
    assert as_sets(back) == as_sets(straight)
