"""A sound library passes; each kind of damage is named."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facepipe.library.check import check
from facepipe.library.commits import Change
from facepipe.library.data_files import DataFile
from facepipe.library.library import Library
from facepipe.library.writer import Writer
from facepipe.schemas import FACES, TABLES
from tests.library_rows import (
    DIMENSION,
    error_rows,
    face_ids_of,
    face_rows,
    file_rows,
    group,
    photo_id_of,
    photo_rows,
    table_of,
    uri_of,
    write_batch,
)

SEED = 20240921


def test_a_sound_library_has_no_problems(library: Library) -> None:
    assert check(library) == []


def test_an_empty_library_has_no_problems(tmp_path: Path) -> None:
    assert check(Library.create_or_open(tmp_path / "library")) == []


def test_faces_newer_than_the_last_grouping_await_their_assignment(library: Library) -> None:
    with library.writer("extract") as writer:
        writer.commit_batches(*write_batch(library, {"g": 2}, "batch-3"))
    assert check(library) == []


def test_a_grouping_without_faces_is_sound(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    with library.writer("run") as writer:
        group(library, writer)
    assert check(library) == []


def faces_of_an_unfinished_batch(writer: Writer) -> None:
    writer.append("faces", face_rows({"h": 1}, "batch-lost"))


def replace_column(table: str, column: str, value: Callable[[pa.Table], pa.Array]) -> Callable[[Writer], None]:
    def damage(writer: Writer) -> None:
        writer.rewrite(table, lambda rows: rows.set_column(rows.schema.get_field_index(column), column, value(rows)))

    return damage


def embeddings(dimension: int, length: float) -> Callable[[pa.Table], pa.Array]:
    vector = np.full(dimension, length / np.sqrt(dimension))
    return lambda rows: pa.array([vector.tolist()] * rows.num_rows, FACES.field("embedding").type)


def _with_one_longer_embedding(rows: pa.Table) -> pa.Table:
    vectors = rows["embedding"].to_pylist()
    vectors[0] = [*vectors[0], 0.0]
    return rows.set_column(
        rows.schema.get_field_index("embedding"), "embedding", pa.array(vectors, FACES.field("embedding").type)
    )


A1, A2 = face_ids_of("a", 2)
(B1,) = face_ids_of("b", 1)

DAMAGES: dict[str, tuple[Callable[[Writer], None], str]] = {
    "a photo twice": (lambda w: w.append("photos", photo_rows({"c": 0}, "batch-9")), "more than one row in photos"),
    "a face twice": (lambda w: w.append("faces", face_rows({"b": 1}, "batch-1")), "more than one row in faces"),
    "a face without its photo": (
        lambda w: w.delete("photos", "photo_id", pa.array([photo_id_of("b")])),
        "no row in photos",
    ),
    "a photo without its faces": (lambda w: w.delete("faces", "face_id", pa.array([A2])), "a count in photos"),
    "ordinals with a gap": (lambda w: w.delete("faces", "face_id", pa.array([A1])), "whose ordinals aren't"),
    "a face_id of another photo": (
        replace_column("faces", "photo_id", lambda rows: pa.array([photo_id_of("c")] * rows.num_rows)),
        "no photo_id and ordinal for a name",
    ),
    "an unfinished batch": (faces_of_an_unfinished_batch, "an interrupted run left them"),
    "a face with two assignments": (
        lambda w: w.append("assignments", table_of("assignments", [{"face_id": A2, "origin": "auto"}])),
        "more than one assignment",
    ),
    "a face without assignment": (lambda w: w.delete("assignments", "face_id", pa.array([A2])), "no assignment"),
    "an assignment without its face": (
        lambda w: w.append("assignments", table_of("assignments", [{"face_id": "gone-0001", "origin": "auto"}])),
        "an assignment but no row in faces",
    ),
    "a person twice": (
        lambda w: w.append("people", table_of("people", [{"person_id": "ada", "faces": 2, "photos": 2}])),
        "more than one row in people",
    ),
    "a lost person": (lambda w: w.replace("people", table_of("people", [])), "no row in people"),
    "a wrong count of faces": (
        replace_column("people", "faces", lambda rows: pa.array([7] * rows.num_rows, pa.int32())),
        "a count of faces in people",
    ),
    "no count of photos": (
        replace_column("people", "photos", lambda rows: pa.nulls(rows.num_rows, pa.int32())),
        "a count of photos in people",
    ),
    "a file that succeeded and failed": (
        lambda w: w.append("errors", error_rows("a")),
        "though its photo is in photos",
    ),
    "a file that succeeded and failed at reading": (
        lambda w: w.append("errors", error_rows("a", stage="ingest")),
        "though its photo is in photos",
    ),
    "a file twice": (lambda w: w.append("files", file_rows("a")), "more than one row in files"),
    "an embedding that is too long": (replace_column("faces", "embedding", embeddings(DIMENSION, 1.01)), "unit length"),
    "an embedding that is no number": (
        replace_column("faces", "embedding", embeddings(DIMENSION, float("nan"))),
        "unit length",
    ),
    "a face without embedding": (
        replace_column("faces", "embedding", lambda rows: pa.nulls(rows.num_rows, FACES.field("embedding").type)),
        "no embedding",
    ),
    "embeddings of two dimensions": (
        lambda w: w.rewrite("faces", _with_one_longer_embedding),
        "different dimensions: 8, 9",
    ),
    "two embedders": (
        replace_column(
            "photos", "extracted_with", lambda rows: pa.array([f"mtcnn+other{rows.num_rows}"] * rows.num_rows)
        ),
        "different embedders",
    ),
}


def copies(*files: tuple[str, str, bool]) -> pa.Table:
    return table_of(
        "duplicates", [{"group_id": group, "uri": uri_of(name), "keeper": kept} for name, group, kept in files]
    )


def test_groups_of_copies_with_one_keeper_are_sound(library: Library) -> None:
    with library.writer("dedup") as writer:
        rows = copies(("a", "1", True), ("b", "1", False), ("c", "2", False), ("d", "2", True))
        writer.replace("duplicates", rows)
    assert check(library) == []


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (copies(("a", "1", True), ("b", "1", True)), "group_id 1: not one keeper"),
        (copies(("a", "1", False), ("b", "1", False)), "group_id 1: not one keeper"),
        (copies(("a", "1", True)), "group_id 1: fewer than two files"),
        (copies(("a", "1", True), ("b", "1", False), ("c", "2", True), ("a", "2", False)), "more than one row in dup"),
        (copies(("a", "1", True), ("unknown", "1", False)), "a row in duplicates but none in files"),
    ],
)
def test_unsound_groups_of_copies_are_named(library: Library, rows: pa.Table, sentence: str) -> None:
    with library.writer("damage") as writer:
        writer.replace("duplicates", rows)
    (problem,) = check(library)
    assert sentence in problem


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(library: Library, name: str) -> None:
    damage, sentence = DAMAGES[name]
    with library.writer("damage") as writer:
        damage(writer)
    problems = check(library)
    assert any(sentence in problem for problem in problems), problems


def only_file(library: Library, table: str) -> Path:
    (file,) = library.data_files(table)
    return Path(library.location, "tables", table, file.path)


def test_a_missing_file_is_named(library: Library) -> None:
    path = only_file(library, "people")
    path.unlink()
    (problem,) = check(library)
    assert path.name in problem
    assert "is missing" in problem


def test_a_truncated_file_is_named(library: Library) -> None:
    path = only_file(library, "people")
    path.write_bytes(path.read_bytes()[:-10])
    (problem,) = check(library)
    assert path.name in problem
    assert "bytes" in problem


def test_an_unreadable_file_is_named(library: Library) -> None:
    path = only_file(library, "people")
    path.write_bytes(b"x" * path.stat().st_size)
    (problem,) = check(library)
    assert path.name in problem
    assert "can't be read" in problem


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows.slice(0, 2), "has 2 rows, but 3 by the log"),
        (lambda rows: rows.drop_columns(["origin"]), "lacks the column 'origin'"),
        (lambda rows: rows.set_column(2, "probability", pa.array([1, 1, 1])), "'probability' as int64, not float"),
    ],
)
def test_a_file_with_other_rows_or_columns_is_named(
    library: Library, change: Callable[[pa.Table], pa.Table], sentence: str
) -> None:
    damaged = change(library.read("assignments"))
    path = Path(library.location, "tables", "assignments", "other.parquet")
    pq.write_table(damaged, path)
    (old,) = library.data_files("assignments")
    other = DataFile(path.name, path.stat().st_size, old.num_records, 0)
    with library.writer("damage") as writer:
        writer._committer.commit("assignments", lambda present: Change([other], present))
    assert any(sentence in problem for problem in check(library)), check(library)


def test_a_lost_table_is_named(library: Library) -> None:
    shutil.rmtree(Path(library.location, "tables", "lineage"))
    (problem,) = check(library)
    assert "lost its table 'lineage'" in problem


def test_a_flipped_bit_is_named_or_harmless(library: Library) -> None:
    print(f"seed {SEED}")
    draw = random.Random(SEED)
    sound = {name: library.read(name) for name in TABLES}
    paths = sorted(Path(library.location).glob("tables/*/*.parquet"))
    named = 0
    for _ in range(60):
        path = draw.choice(paths)
        content = path.read_bytes()
        damaged, bit = bytearray(content), draw.randrange(8 * len(content))
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        if check(library):
            named += 1
        else:  # in what no reader looks at, such as the name of the program that wrote the file
            assert all(library.read(name).equals(rows) for name, rows in sound.items()), f"{path}: bit {bit}"
        path.write_bytes(content)
    assert named > 20
    assert check(library) == []


def log_entries(library: Library, table: str) -> list[Path]:
    return sorted(Path(library.location, "tables", table, "_delta_log").glob("*.json"))


def test_a_log_that_lost_its_newest_entries_is_named(library: Library) -> None:
    with library.writer("run") as writer:
        writer.append("runs", table_of("runs", [{"run_id": "1"}]))
    assert check(library) == []
    log_entries(library, "decisions")[-1].unlink()
    (problem,) = check(library)
    assert "the log of the table 'decisions' ends with entry 1, but had reached 2" in problem


def test_an_empty_log_entry_is_named(library: Library) -> None:
    entry = log_entries(library, "errors")[-1]
    entry.write_bytes(b"")
    (problem,) = check(library)
    assert f"the log entry tables/errors/_delta_log/{entry.name} is empty" in problem


def test_a_damaged_log_is_named_once(library: Library) -> None:
    log_entries(library, "runs")[-1].write_bytes(b"nonsense")
    (problem,) = check(library)
    assert "the log of the table 'runs'" in problem
    assert "\n" not in problem
