"""Whether two libraries hold the same, whatever kills, engines or machines they went through.

The same keys, strings and integers; boxes within 0.05 px; embeddings' cosine at least 0.9999. Run ids, batch ids and
times of the runs are left out, and so is the table `runs`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facepipe.library.library import Library
from facepipe.schemas import TABLES, TIME
from facepipe.sources.uris import path_to_uri

BOX_PX = 0.05
LANDMARK_PX = 0.2
COSINE = 0.9999
# Not promised by the definition: close enough to catch a wrong value, wide enough for another order of additions.
OTHER_FLOATS = 0.02
ANGLE_DEGREES = 0.5
SIMILARITY = 0.005

KEYS = {
    "files": ["uri"],
    "photos": ["photo_id"],
    "faces": ["face_id"],
    "neighbors": ["face_id"],
    "assignments": ["face_id"],
    "people": ["person_id"],
    "lineage": ["kind", "old_person_id", "new_person_id"],
    "decisions": ["decision_id"],
    "duplicates": ["group_id", "uri"],
    "comparisons": ["photo_id", "other_id", "kind"],
    "errors": ["uri"],
    "tombstones": ["digest"],
}
# A shard's name is drawn; a crop's JPEG may differ in a pixel where its box does in a hundredth.
LEFT_OUT = {"run_id", "batch_id", "packed", "crop"}
EITHER = {"joined_face_id"}  # of two faces about as near, one or the other
BOX = {"x0", "y0", "x1", "y1"}
ANGLES = {"yaw", "pitch", "roll"}

Row = dict[str, Any]


def assert_equal_libraries(
    ours: Library, theirs: Library, our_root: Path | None = None, their_root: Path | None = None
) -> None:
    """Raise AssertionError naming the first table, row and column that differ.

    Args:
        ours: one library.
        theirs: the other.
        our_root: the folder of ours' photos, where the two libraries were made of copies in different places.
        their_root: the folder of theirs' photos.
    """
    for table, keys in KEYS.items():
        left, right = _rows_by_key(ours, table, keys, our_root), _rows_by_key(theirs, table, keys, their_root)
        assert sorted(left, key=repr) == sorted(right, key=repr), f"{table}: different keys"
        for key, row in left.items():
            for field in TABLES[table]:
                if field.name in row:
                    mine, other = row[field.name], right[key][field.name]
                    assert _agree(table, field, row, right[key]), f"{table} {key} {field.name}: {mine!r} != {other!r}"


def _rows_by_key(library: Library, table: str, keys: list[str], root: Path | None) -> dict[tuple[Any, ...], Row]:
    columns = [field.name for field in TABLES[table] if field.name not in LEFT_OUT and field.type != TIME]
    rows = library.read(table, columns).to_pylist()
    if root is not None:
        for row in rows:
            for name, value in row.items():
                if isinstance(value, str):
                    row[name] = value.replace(path_to_uri(root.resolve()), "").replace(str(root.resolve()), "")
    by_key = {tuple(row[key] for key in keys): row for row in rows}
    assert len(by_key) == len(rows), f"{table}: a key occurs twice"
    return by_key


def _agree(table: str, field: pa.Field, ours: Row, theirs: Row) -> bool:
    mine, other = ours[field.name], theirs[field.name]
    if mine is None or other is None or field.name in EITHER:
        return (mine is None) == (other is None)
    if table == "neighbors":
        return _same_neighbors(ours, theirs)
    if field.name == "embedding":
        a, b = np.array(mine), np.array(other)
        return a.shape == b.shape and float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) >= COSINE
    if pa.types.is_list(field.type) and pa.types.is_floating(field.type.value_type):
        return len(mine) == len(other) and bool(np.allclose(mine, other, rtol=0, atol=LANDMARK_PX))
    if pa.types.is_floating(field.type):
        allowed = BOX_PX if field.name in BOX else ANGLE_DEGREES if field.name in ANGLES else OTHER_FLOATS
        return bool(abs(mine - other) <= allowed)
    return bool(mine == other)


def _same_neighbors(ours: Row, theirs: Row) -> bool:
    """Whether two lists hold the same faces as near; those about as near as the last may change places with others."""
    mine: dict[str, float] = dict(zip(ours["neighbor_ids"], ours["similarities"], strict=True))
    other: dict[str, float] = dict(zip(theirs["neighbor_ids"], theirs["similarities"], strict=True))
    if len(mine) != len(other):
        return False
    last = min([*mine.values(), *other.values()], default=0.0)
    return all(
        abs(mine[face] - other[face]) <= SIMILARITY
        if face in mine and face in other
        else (mine | other)[face] <= last + SIMILARITY
        for face in mine.keys() | other.keys()
    )
