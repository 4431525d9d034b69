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


def match_identities(
    old: Mapping[str, str], face_ids: Sequence[str], labels: Ints, owners: Mapping[int, str] | None = None
) -> list[str]:
    """Return which person each new group is, by label: one-to-one with old people, with the most faces shared in all.

    Args:
        old: the person_id of each face that had one before; faces that are there no more may be among them.
        face_ids: N face ids, each once.
        labels: (N,) int64 groups, numbered from 0 without gaps, -1 for unassigned.
        owners: the person_id of groups whose person is known, by label.
    """
    owners = owners or {}
    labels = np.asarray(labels, np.int64)
    groups = int(labels.max(initial=-1)) + 1
    settled = set(owners.values())
    old_ids = sorted(set(old.values()) - settled)
    rank = {person_id: index for index, person_id in enumerate(old_ids)}
    past = np.array([rank.get(old.get(face_id, ""), -1) for face_id in face_ids], np.int64)  # (N,)
    free = np.where(np.isin(labels, list(owners)), -1, labels)
    person_of_group = {
        group: old_ids[person] for person, group in _maximum_matching(_overlap(past, free, len(old_ids), groups))
    }
    person_of_group |= owners
    taken = {*old.values(), *settled}
    person_ids: list[str] = []
    for group, faces in enumerate(_faces_of_groups(face_ids, labels, groups)):
        person_ids.append(person_of_group.get(group) or birth_id(faces, taken))
        taken.add(person_ids[-1])
    return person_ids


def lineage_of(old: Mapping[str, str], new: Mapping[str, str]) -> list[Lineage]:
    """Return what became of people, in order of old, then new id; people without a past last.

    Args:
        old: the person_id of each face that had one before.
        new: the person_id of each face that has one now.
    """
    went = Counter((person_id, new[face_id]) for face_id, person_id in old.items() if face_id in new)
    goes_on = set(new.values())
    rows = [
        Lineage(before, now, faces, "kept" if before == now else "split" if before in goes_on else "merged")
        for (before, now), faces in went.items()
    ]
    past, with_past = {row.old_person_id for row in rows}, {row.new_person_id for row in rows}
    rows += [
        Lineage(person, None, faces, "gone") for person, faces in Counter(old.values()).items() if person not in past
    ]
    rows.sort(key=lambda row: (row.old_person_id or "", row.new_person_id or ""))
    born = Counter(new.values())
    return rows + [Lineage(None, person, born[person], "new") for person in sorted(born) if person not in with_past]


def person_id_at_birth(face_id: str) -> str:
    """Return the id of a person born with this smallest face_id: its UUIDv5."""
    return str(uuid.uuid5(PERSON_NAMESPACE, face_id))


def birth_id(face_ids: Sequence[str], taken: Collection[str]) -> str:
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
