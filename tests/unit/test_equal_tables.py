"""The comparison that other tests rest on can fail."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from facepipe.library.library import Library
from facepipe.schemas import TABLES
from tests.equal_tables import assert_equal_libraries
from tests.library_rows import make_sound_library, table_of

NEIGHBORS = {"face_id": "a", "neighbor_ids": ["b", "c", "d"], "similarities": [0.9, 0.8, 0.5]}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Library:
    library = make_sound_library(tmp_path_factory.mktemp("equal") / "library")
    with library.writer("test") as writer:
        writer.replace("neighbors", table_of("neighbors", [NEIGHBORS]))
    return library


@pytest.fixture
def changed(template: Library, tmp_path: Path) -> Library:
    return Library.open(shutil.copytree(template.location, tmp_path / "library"))


def change(library: Library, table: str, column: str, value: Callable[[Any], Any]) -> None:
    field = TABLES[table].field(column)

    def alter(rows: pa.Table) -> pa.Table:
        values = [value(old) for old in rows[column].to_pylist()]
        return rows.set_column(rows.schema.get_field_index(column), column, pa.array(values, field.type))

    with library.writer("test") as writer:
        writer.rewrite(table, alter)


def turned(vector: list[float], amount: float) -> list[float]:
    return [vector[0] + amount, *vector[1:]]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("faces", "x0", lambda x: x + 0.04),
        ("faces", "embedding", lambda v: turned(v, 0.001)),
        ("faces", "crop", lambda _: b"other"),
        ("errors", "at", lambda _: None),
        ("photos", "batch_id", lambda b: b),
        ("neighbors", "similarities", lambda _: [0.901, 0.799, 0.5]),
        ("neighbors", "neighbor_ids", lambda _: ["b", "c", "e"]),  # the last place is a matter of rounding
    ],
)
def test_small_differences_are_equal(
    template: Library, changed: Library, table: str, column: str, value: Callable[[Any], Any]
) -> None:
    change(changed, table, column, value)
    assert_equal_libraries(template, changed)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("faces", "x0", lambda x: x + 0.06),
        ("faces", "score", lambda s: s - 0.1),
        ("faces", "landmarks", lambda v: turned(v, 1.0)),
        ("faces", "embedding", lambda v: turned(v, 0.1)),
        ("faces", "embedding", lambda _: None),
        ("photos", "width", lambda w: w + 1),
        ("photos", "camera", lambda _: "other"),
        ("people", "name", lambda _: "other"),
        ("people", "person_id", lambda _: "other"),
        ("assignments", "person_id", lambda _: None),
        ("errors", "code", lambda _: "internal"),
        ("files", "photo_id", lambda p: p[::-1]),
        ("neighbors", "neighbor_ids", lambda _: ["b", "e", "d"]),
        ("neighbors", "similarities", lambda _: [0.9, 0.7, 0.5]),
    ],
)
def test_real_differences_are_named(
    template: Library, changed: Library, table: str, column: str, value: Callable[[Any], Any]
) -> None:
    change(changed, table, column, value)
    with pytest.raises(AssertionError, match=table):
        assert_equal_libraries(template, changed)


def test_a_row_more_is_a_difference(template: Library, changed: Library) -> None:
    with changed.writer("test") as writer:
        writer.append("tombstones", table_of("tombstones", [{"digest": "x"}]))
    with pytest.raises(AssertionError, match="tombstones: different keys"):
        assert_equal_libraries(template, changed)


def test_photos_in_different_places_may_be_compared(tmp_path: Path) -> None:
    libraries = []
    for name in ("one", "two"):
        library = Library.create_or_open(tmp_path / f"library-{name}")
        with library.writer("test") as writer:
            writer.append("files", table_of("files", [{"uri": (tmp_path / name / "a.jpg").as_uri(), "photo_id": "x"}]))
        libraries.append(library)
    one, two = libraries
    assert_equal_libraries(one, two, tmp_path / "one", tmp_path / "two")
    with pytest.raises(AssertionError, match="files: different keys"):
        assert_equal_libraries(one, two)
