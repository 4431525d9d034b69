import itertools
import uuid

import numpy as np
import pytest

from facepipe.clustering.identities import Lineage, lineage_of, match_identities, person_id_at_birth


def match(
    old: dict[str, str], groups: dict[str, int], owners: dict[int, str] | None = None
) -> tuple[list[str], list[Lineage]]:
    face_ids = sorted(groups)
    ids = match_identities(old, face_ids, np.array([groups[face_id] for face_id in face_ids], np.int64), owners)
    return ids, lineage_of(old, {face_id: ids[label] for face_id, label in groups.items() if label >= 0})


def test_the_first_grouping_bears_everyone() -> None:
    ids, lineage = match({}, {"b": 0, "a": 0, "c": 1, "d": 1, "e": -1})
    assert ids == [person_id_at_birth("a"), person_id_at_birth("c")]
    assert uuid.UUID(ids[0]).version == 5
    assert lineage == [Lineage(None, person_id, 2, "new") for person_id in sorted(ids)]


def test_people_keep_their_ids_when_faces_join_and_leave() -> None:
    ids, lineage = match({"a": "P", "b": "P", "c": "Q", "d": "Q"}, {"a": 1, "b": 1, "c": 0, "d": 0, "e": 0, "A": 1})
    assert ids == ["Q", "P"]
    assert lineage == [Lineage("P", "P", 2, "kept"), Lineage("Q", "Q", 2, "kept")]


def test_a_split_keeps_the_id_with_the_larger_part() -> None:
    ids, lineage = match(dict.fromkeys("abcde", "P"), {"a": 0, "b": 0, "c": 1, "d": 1, "e": 1})
    born = person_id_at_birth("a")
    assert ids == [born, "P"]
    assert set(lineage) == {Lineage("P", born, 2, "split"), Lineage("P", "P", 3, "kept")}


def test_a_part_that_splits_off_with_the_smallest_face_gets_a_new_id() -> None:
    born = person_id_at_birth("a")
    ids, _ = match(dict.fromkeys("abcde", born), {"a": 0, "b": 0, "c": 1, "d": 1, "e": 1})
    assert ids == [person_id_at_birth("b"), born]


def test_when_every_face_has_given_a_name_already_another_is_found() -> None:
    old = {"a": person_id_at_birth("b"), "b": person_id_at_birth("a"), "c": person_id_at_birth("a")}
    ids, _ = match(
        old | {"d": person_id_at_birth("b"), "e": person_id_at_birth("b")}, {"a": 0, "b": 0, "c": 1, "d": 2, "e": 2}
    )
    assert len(set(ids)) == 3


def test_a_merger_keeps_the_id_of_the_larger_person() -> None:
    ids, lineage = match({"a": "P", "b": "P", "c": "Q", "d": "Q", "e": "Q"}, dict.fromkeys("abcde", 0))
    assert ids == ["Q"]
    assert lineage == [Lineage("P", "Q", 2, "merged"), Lineage("Q", "Q", 3, "kept")]


def test_people_without_faces_are_gone() -> None:
    ids, lineage = match({"a": "P", "b": "P", "x": "Q"}, {"a": -1, "b": -1, "c": 0, "d": 0})
    assert ids == [person_id_at_birth("c")]
    assert lineage == [Lineage("P", None, 2, "gone"), Lineage("Q", None, 1, "gone"), Lineage(None, ids[0], 2, "new")]


def test_a_face_that_changes_sides_is_a_split() -> None:
    _, lineage = match({"a": "P", "b": "P", "c": "P", "d": "Q", "e": "Q"}, {"a": 0, "b": 0, "c": 1, "d": 1, "e": 1})
    assert lineage == [Lineage("P", "P", 2, "kept"), Lineage("P", "Q", 1, "split"), Lineage("Q", "Q", 2, "kept")]


def test_the_sum_of_shared_faces_counts_not_the_largest_share() -> None:
    # P could take the 3 of group 0, but 2 + 2 shared faces beat 3 + 0.
    old = {"a": "P", "b": "P", "c": "P", "d": "P", "e": "P", "f": "Q", "g": "Q"}
    ids, _ = match(old, {"a": 0, "b": 0, "c": 0, "d": 1, "e": 1, "f": 0, "g": 0})
    assert ids == ["Q", "P"]


@pytest.mark.parametrize("seed", range(15))
def test_the_matching_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    faces = [f"{number:02}" for number in range(30)]
    old = {face: f"P{rng.integers(4)}" for face in faces if rng.random() < 0.8}
    labels = np.unique(rng.integers(0, 4, 30), return_inverse=True)[1] - (seed % 2)
    ids, lineage = match(old, dict(zip(faces, labels.tolist(), strict=True)))
    kept = sum(row.faces for row in lineage if row.kind == "kept")

    groups, people = range(int(labels.max()) + 1), sorted(set(old.values()))
    shared = [
        [sum(old.get(f) == p and label == g for f, label in zip(faces, labels, strict=True)) for p in people]
        for g in groups
    ]
    seats = [*range(len(people)), *[None] * len(groups)]
    best = max(
        sum(shared[g][p] for g, p in zip(groups, order, strict=True) if p is not None)
        for order in itertools.permutations(seats, len(groups))
    )
    assert kept == best, seed
    assert len(set(ids)) == len(ids)
    assert all(row.old_person_id == row.new_person_id for row in lineage if row.kind == "kept")
    assert sum(row.faces for row in lineage if row.new_person_id and row.old_person_id) == sum(
        f in old and label >= 0 for f, label in zip(faces, labels, strict=True)
    )


def test_nothing_before_and_nothing_now() -> None:
    assert match({}, {}) == ([], [])


def test_a_group_whose_person_is_known_takes_no_part_in_the_matching() -> None:
    old = {"a": "P", "b": "P", "c": "P", "d": "Q", "e": "Q"}
    ids, lineage = match(old, {"a": 0, "b": 0, "c": 1, "d": 1, "e": 2}, {1: "P"})
    assert ids == [person_id_at_birth("a"), "P", "Q"]
    assert Lineage("Q", "P", 1, "split") in lineage
    # The known person may be new to all of its faces.
    assert match(old, {"a": 0, "b": 0, "d": 1, "e": 1}, {0: "R"})[0] == ["R", "Q"]
