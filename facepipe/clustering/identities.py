"""Who a new group is: people keep their ids through a regrouping, and `lineage` says what became of each."""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, count
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = npt.NDArray[np.int64]
Kind = Literal["kept", "split", "merged", "new", "gone"]

# The name space of person ids: UUIDv5 of a face_id in it. Changing it would rename every person.
PERSON_NAMESPACE = uuid.UUID("7c9d4f5e-3a51-5b0e-9d0c-6f1f0a7e2b11")


class Lineage(NamedTuple):
    """What became of a person: faces that went from an old person to a new one.

    Attributes:
        old_person_id: None for a person without a past.
        new_person_id: None for a person none of whose faces has a person now.
        faces: how many faces went that way.
        kind: `kept`: the old person goes on as the new one; `merged`: the old person ended, its faces went into
            another; `split`: the old person goes on elsewhere, these faces left it; `new`; `gone`.
    """

    old_person_id: str | None
    new_person_id: str | None
    faces: int
    kind: Kind


class Identities(NamedTuple):
    """The people of new groups.

    Attributes:
        person_ids: one id for each group, in order of the labels 0, 1, 2 …
        lineage: rows in order of old, then new id; people without a past last.
    """

    person_ids: list[str]
    lineage: list[Lineage]


def match_identities(old: Mapping[str, str], face_ids: Sequence[str], labels: Ints) -> Identities:
    """Return which old person each new group is: one-to-one, with the most faces shared in all.

    Args:
        old: the person_id of each face that had one before; faces that are there no more may be among them.
        face_ids: N face ids, each once.
        labels: (N,) int64 groups, numbered from 0 without gaps, -1 for unassigned.
    """
    labels = np.asarray(labels, np.int64)
    groups = int(labels.max(initial=-1)) + 1
    old_ids = sorted(set(old.values()))
    rank = {person_id: index for index, person_id in enumerate(old_ids)}
    past = np.array([rank[old[face_id]] if face_id in old else -1 for face_id in face_ids], np.int64)  # (N,)
    overlap = _overlap(past, labels, len(old_ids), groups)
    matched = _maximum_matching(overlap)

    person_of_group = {group: person for person, group in matched}
    faces_of_group = _faces_of_groups(face_ids, labels, groups)
    taken = set(old_ids)
    person_ids: list[str] = []
    for group, faces in enumerate(faces_of_group):
        person = person_of_group.get(group)
        person_ids.append(_birth_id(faces, taken) if person is None else old_ids[person])
        taken.add(person_ids[-1])

    rows = _shared_rows(overlap, matched, old_ids, person_ids)
    rows += _gone_rows(Counter(old.values()), {row.old_person_id for row in rows})
    rows.sort(key=lambda row: (row.old_person_id or "", row.new_person_id or ""))
    with_past = {row.new_person_id for row in rows}
    rows += [
        Lineage(None, person_id, len(faces), "new")
        for person_id, faces in zip(person_ids, faces_of_group, strict=True)
        if person_id not in with_past
    ]
    return Identities(person_ids, rows)


def person_id_at_birth(face_id: str) -> str:
    """Return the id of a person born with this smallest face_id: its UUIDv5."""
    return str(uuid.uuid5(PERSON_NAMESPACE, face_id))


def _birth_id(face_ids: Sequence[str], taken: Collection[str]) -> str:
    """Return the first free id: of the smallest face, or of the next where a person split off that bears it already."""
    names = chain(sorted(face_ids), (f"{min(face_ids)} {number}" for number in count(2)))
    return next(person_id for person_id in map(person_id_at_birth, names) if person_id not in taken)


def _faces_of_groups(face_ids: Sequence[str], labels: Ints, groups: int) -> list[list[str]]:
    faces: list[list[str]] = [[] for _ in range(groups)]
    for face_id, label in zip(face_ids, labels.tolist(), strict=True):
        if label >= 0:
            faces[label].append(face_id)
    return faces


def _overlap(past: Ints, labels: Ints, people: int, groups: int) -> coo_array:
    """Return the number of faces (people, groups) that each old person shares with each new group, sparse."""
    both = (past >= 0) & (labels >= 0)
    shared = coo_array((np.ones(int(both.sum()), np.int64), (past[both], labels[both])), shape=(people, groups))
    shared.sum_duplicates()
    return shared


def _maximum_matching(overlap: coo_array) -> set[tuple[int, int]]:
    """Return pairs (person, group) that share faces, each once at most, with the greatest sum of shared faces.

    People and groups that hang together through shared faces are few, so each such component is solved on its own.
    """
    people, groups = overlap.shape
    if not overlap.nnz:
        return set()
    from scipy.optimize import linear_sum_assignment  # half a second, which most first runs can do without

    rows, columns = overlap.coords
    graph = coo_array((np.ones(overlap.nnz), (rows, people + columns)), shape=(people + groups, people + groups))
    _, component = connected_components(graph, directed=False)
    order = np.argsort(component[rows], kind="stable")
    starts = np.flatnonzero(np.diff(component[rows][order])) + 1
    matched: set[tuple[int, int]] = set()
    for part in np.split(order, starts):
        part_rows, row_at = np.unique(rows[part], return_inverse=True)
        part_columns, column_at = np.unique(columns[part], return_inverse=True)
        shared = np.zeros((len(part_rows), len(part_columns)))
        shared[row_at, column_at] = overlap.data[part]
        for row, column in zip(*linear_sum_assignment(shared, maximize=True), strict=True):
            if shared[row, column] > 0:
                matched.add((int(part_rows[row]), int(part_columns[column])))
    return matched


def _shared_rows(
    overlap: coo_array, matched: set[tuple[int, int]], old_ids: Sequence[str], person_ids: Sequence[str]
) -> list[Lineage]:
    """Return a row for each old and new person that share faces."""
    goes_on = {person for person, _ in matched}
    rows = []
    for person, group, faces in zip(*(axis.tolist() for axis in overlap.coords), overlap.data.tolist(), strict=True):
        kind: Kind = "kept" if (person, group) in matched else "split" if person in goes_on else "merged"
        rows.append(Lineage(old_ids[person], person_ids[group], faces, kind))
    return rows


def _gone_rows(faces_before: Mapping[str, int], went_on: Collection[str | None]) -> list[Lineage]:
    """Return a row for each old person none of whose faces has a person now."""
    return [
        Lineage(person_id, None, faces, "gone") for person_id, faces in faces_before.items() if person_id not in went_on
    ]
