"""Faces found before and faces found anew: which is which, and what was known of the old ones said of the new ones."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.duplicates.same_faces import match_faces
from facepipe.library.decisions import Decided
from facepipe.stages.people_tables import people_tables

BOX = ("x0", "y0", "x1", "y1")
BOX_COLUMNS = ("face_id", "photo_id", *BOX)
LOST = "@"  # in the name of a face that is found no more, and in no face_id

# Every column that names faces and outlives them. `people` is counted anew; `neighbors` waits for the next grouping.
NAMING_FACES = (
    ("assignments", "face_id"),
    ("assignments", "joined_face_id"),
    ("changes", "face_id"),
    ("decisions", "face_ids"),
)


def new_names(old: pa.Table, new: pa.Table) -> dict[str, str]:
    """Return what each old face is called now: the face_id of the same face found anew, or a name of no face at all.

    The same face is in the same photo, and at least half of the two boxes' union is in both; one-to-one, with the most
    overlap in all. A face that is found no more is called after its box, `PHOTO_ID@x0,y0,x1,y1`: its face_id may denote
    another face now, and what was decided about it must not.

    Args:
        old: all faces before, rows of `faces` with BOX_COLUMNS.
        new: all faces from now on, likewise.
    """
    old_ids, new_ids = old["face_id"].to_pylist(), new["face_id"].to_pylist()
    old_boxes, new_boxes = _boxes(old), _boxes(new)
    rows_found = _rows_by_photo(new)
    names: dict[str, str] = {}
    for photo_id, rows in _rows_by_photo(old).items():
        again = rows_found.get(photo_id, [])
        matched = match_faces(old_boxes[rows], new_boxes[again]).tolist() if again else []
        names |= {old_ids[rows[one]]: new_ids[again[other]] for one, other in matched}
        names |= {old_ids[row]: _lost_name(photo_id, old_boxes[row]) for row in rows if old_ids[row] not in names}
    return names


def is_lost(name: str) -> bool:
    """Return whether a name of `new_names` is that of a face which is found no more."""
    return LOST in name


def rename_faces(table: str, rows: pa.Table, names: Mapping[str, str]) -> pa.Table:
    """Return rows of a table with every face called as it is called now.

    Args:
        table: its name; `NAMING_FACES` says where it names faces.
        rows: the rows.
        names: by face_id, of all faces that there were; any other face has been lost before.
    """
    for of_table, column in NAMING_FACES:
        if of_table == table:
            position = rows.schema.get_field_index(column)
            rows = rows.set_column(position, rows.schema.field(position), _renamed(rows[column], names))
    return rows


def carry_over(
    names: Mapping[str, str],
    tables: Mapping[str, pa.Table],
    faces: pa.Table,
    photos: pa.Table,
    decided: Decided,
    run_id: str,
    at: datetime,
) -> dict[str, pa.Table]:
    """Return the tables that say who is who, of the new faces; everybody keeps who they are.

    Faces that are found no more leave `assignments`, which `changes` records; what was decided about them stays, under
    the names they have now.

    Args:
        names: what the old faces are called now.
        tables: assignments, changes, decisions and lineage as they are.
        faces: all faces from now on, rows of `faces` with `people_tables.PERSON_COLUMNS`.
        photos: all photos from now on, rows of `photos` with `people_tables.DATE_COLUMNS`.
        decided: what users have decided.
        run_id: for `changes` and `lineage`.
        at: when, UTC.
    """
    before, changes, decisions = (
        rename_faces(table, tables[table], names) for table in ("assignments", "changes", "decisions")
    )
    there = faces["face_id"].combine_chunks()
    after = before.filter(pc.is_in(before["face_id"], value_set=there))
    joined = pc.if_else(pc.is_in(after["joined_face_id"], value_set=there), after["joined_face_id"], None)
    after = after.set_column(after.schema.get_field_index("joined_face_id"), "joined_face_id", joined)
    told = people_tables(after, faces, photos, decided, before, run_id, at)
    return {
        "neighbors": schemas.NEIGHBORS.empty_table(),
        "people": told.people,
        "lineage": pa.concat_tables([tables["lineage"], told.lineage]),
        "changes": pa.concat_tables([changes, told.changes]),
        "decisions": decisions,
        "assignments": told.assignments,
    }


def _rows_by_photo(faces: pa.Table) -> dict[str, list[int]]:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, photo_id in enumerate(faces["photo_id"].to_pylist()):
        rows[photo_id].append(row)
    return rows


def _boxes(faces: pa.Table) -> np.ndarray:
    return np.stack([faces[side].to_numpy() for side in BOX], axis=1)  # (N, 4)


def _lost_name(photo_id: str, box: np.ndarray) -> str:
    return f"{photo_id}{LOST}{','.join(f'{side:.1f}' for side in box.tolist())}"


def _renamed(column: pa.ChunkedArray, names: Mapping[str, str]) -> pa.Array:
    def called(face: str | None) -> str | None:
        return face if face is None or is_lost(face) else names.get(face, f"{face}{LOST}")

    if pa.types.is_list(column.type):
        lists = column.to_pylist()
        return pa.array([None if faces is None else [called(face) for face in faces] for faces in lists], column.type)
    return pa.array([called(face) for face in column.to_pylist()], column.type)
