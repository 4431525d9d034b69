"""The tables that say who is who, as a grouping or a user's decision leaves them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.clustering.identities import lineage_of
from facepipe.clustering.knn import Neighbors
from facepipe.library.decisions import Decided, carry_out
from facepipe.library.people_history import changes_between, known_owners, owners_of

NEIGHBOR_ROWS = 20_000  # written together: 100 MB of ids
LEAST_PHOTOS = 2  # of a person of whom nobody has decided anything
PERSON_COLUMNS = ("face_id", "photo_id")  # of `faces`
DATE_COLUMNS = ("photo_id", "taken_at")  # of `photos`


class PeopleTables(NamedTuple):
    """What is written where people change.

    Attributes:
        assignments: all of them.
        people: all of them.
        lineage: rows to add: what became of people.
        changes: rows to add: what became of faces.
    """

    assignments: pa.Table
    people: pa.Table
    lineage: pa.Table
    changes: pa.Table


def people_tables(
    assignments: pa.Table,
    faces: pa.Table,
    photos: pa.Table,
    decided: Decided,
    old_assignments: pa.Table,
    run_id: str,
    at: datetime,
) -> PeopleTables:
    """Return the tables that follow from who is who now.

    Args:
        assignments: as they are to be.
        faces: rows of `faces` with PERSON_COLUMNS.
        photos: rows of `photos` with DATE_COLUMNS.
        decided: what users have decided: names and who is hidden.
        old_assignments: `assignments` as they are.
        run_id: of the run that changes them.
        at: when, UTC.
    """
    changes = changes_between(owners_of(old_assignments), owners_of(assignments), run_id, at)
    lineage = schemas.LINEAGE.empty_table()
    if len(changes):
        became = lineage_of(known_owners(old_assignments), known_owners(assignments))
        lineage = pa.Table.from_pylist([{"run_id": run_id, **row._asdict()} for row in became], schema=schemas.LINEAGE)
    return PeopleTables(assignments, people_table(assignments, faces, photos, decided), lineage, changes)


def assignments_table(
    owners: Mapping[str, str | None],
    probabilities: Sequence[float] | np.ndarray,
    joined: Sequence[str | None],
    decided: Decided,
) -> pa.Table:
    """Return `assignments`.

    Args:
        owners: the person_id of each face, None for unassigned.
        probabilities: (N,) in the order of `owners`; what a user has said of a single face is sure.
        joined: (N,) the face whose likeness brought each to others.
        decided: what users have decided.
    """
    rows = zip(owners, probabilities, strict=True)
    columns = {
        "face_id": list(owners),
        "person_id": list(owners.values()),
        "probability": [1.0 if face in decided.named_faces else float(probability) for face, probability in rows],
        "origin": ["user" if face in decided.owners or face in decided.not_faces else "auto" for face in owners],
        "joined_face_id": pa.array(joined, pa.string()),
    }
    return pa.table(columns, schema=schemas.ASSIGNMENTS)


def follow_decision(assignments: pa.Table, decided: Decided, then: Mapping[str, str] | None = None) -> pa.Table:
    """Return `assignments` once what is decided holds, without a regrouping.

    A person of whom nobody has decided anything and who is left on a single photo is nobody any more.

    Args:
        assignments: as they are.
        decided: what holds.
        then: the person_id of faces that had one at the time to return to, where a decision returns to one.
    """
    before = owners_of(assignments)
    after = carry_out(decided, before if then is None else {face: then.get(face) for face in before})
    left = {owner for face, owner in before.items() if owner is not None and after[face] != owner} - decided.people
    photos_of: defaultdict[str, set[str]] = defaultdict(set)
    for face, owner in after.items():
        if owner in left:
            photos_of[owner].add(face.rpartition("-")[0])
    ended = {owner for owner, photos in photos_of.items() if len(photos) < LEAST_PHOTOS}
    after = {face: None if owner in ended else owner for face, owner in after.items()}
    joined = [
        face if after[owned] == before[owned] else None
        for owned, face in zip(before, assignments["joined_face_id"].to_pylist(), strict=True)
    ]
    return assignments_table(after, assignments["probability"].to_pylist(), joined, decided)


def neighbors_tables(
    rows: np.ndarray, face_ids: Sequence[str], neighbors: Neighbors, search_id: str
) -> Iterator[pa.Table]:
    """Yield rows of `neighbors`, some at a time: all ids of a large library together don't fit into memory.

    Args:
        rows: (M,) int64, the faces whose neighbours they are.
        face_ids: of all N faces.
        neighbors: of the M faces, as rows of all faces.
        search_id: what the search depended on.
    """
    names = pa.array(face_ids, pa.string())
    for start in range(0, max(len(rows), 1), NEIGHBOR_ROWS):
        some = slice(start, start + NEIGHBOR_ROWS)
        count, k = neighbors.ids[some].shape
        offsets = pa.array(np.arange(count + 1) * k, pa.int32())
        columns = [
            names.take(pa.array(rows[some])),
            pa.ListArray.from_arrays(offsets, names.take(pa.array(neighbors.ids[some].reshape(-1)))),
            pa.ListArray.from_arrays(offsets, pa.array(neighbors.similarities[some].reshape(-1), pa.float32())),
            pa.repeat(search_id, count),
        ]
        yield pa.Table.from_arrays(columns, schema=schemas.NEIGHBORS)


def neighbors_found_before(
    batches: Iterable[pa.RecordBatch], face_ids: Sequence[str], counted: np.ndarray, search_id: str
) -> Neighbors | None:
    """Return the neighbours of the faces that count, as places among them, from an earlier search; None: another one.

    Args:
        batches: `neighbors`, all columns.
        face_ids: of all N faces, ascending.
        counted: (C,) int64, rows of those that count.
        search_id: what the search depends on now.
    """
    names = pa.array([face_ids[row] for row in counted.tolist()], pa.string())
    ids = similarities = None
    filled = 0
    for batch in batches:
        if not len(batch):
            continue
        if pc.unique(batch.column("search_id")).to_pylist() != [search_id]:
            return None
        place = pc.index_in(batch.column("face_id"), value_set=names)
        chosen = batch.filter(pc.is_valid(place))
        rows = place.drop_null().to_numpy()
        found = pc.index_in(chosen.column("neighbor_ids").flatten(), value_set=names).to_numpy(zero_copy_only=False)
        k = len(found) // max(len(rows), 1)
        if ids is None or similarities is None:
            ids, similarities = np.zeros((len(counted), k), np.int64), np.zeros((len(counted), k), np.float32)
        ids[rows] = found.reshape(len(rows), k)
        similarities[rows] = chosen.column("similarities").flatten().to_numpy().reshape(len(rows), k)
        filled += len(rows)
    return (
        Neighbors(ids, similarities)
        if filled == len(counted) and ids is not None and similarities is not None
        else None
    )


def people_table(assignments: pa.Table, faces: pa.Table, photos: pa.Table, decided: Decided) -> pa.Table:
    """Return one row a person: counts, the cover (the face surest to be theirs), the span of dates, the name."""
    known = assignments.filter(pc.is_valid(assignments["person_id"])).select(["face_id", "person_id", "probability"])
    seen = known.join(faces.select(list(PERSON_COLUMNS)), "face_id").join(photos.select(list(DATE_COLUMNS)), "photo_id")
    totals = seen.group_by("person_id").aggregate(
        [("face_id", "count"), ("photo_id", "count_distinct"), ("taken_at", "min"), ("taken_at", "max")]
    )
    surest = seen.sort_by([("person_id", "ascending"), ("probability", "descending"), ("face_id", "ascending")])
    covers = surest.group_by("person_id", use_threads=False).aggregate([("face_id", "first")])
    joined = totals.join(covers, "person_id").sort_by("person_id")
    persons = joined["person_id"].to_pylist()
    columns = {
        "person_id": joined["person_id"],
        "name": pa.array([decided.names.get(person) for person in persons], pa.string()),
        "faces": joined["face_id_count"],
        "photos": joined["photo_id_count_distinct"],
        "cover_face_id": joined["face_id_first"],
        "first_taken_at": joined["taken_at_min"],
        "last_taken_at": joined["taken_at_max"],
        "hidden": pa.array([person in decided.hidden for person in persons], pa.bool_()),
    }
    return pa.table(columns).cast(schemas.PEOPLE)
