"""What the writer's operations leave in the tables, on the disk and in the log."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from facepipe.errors import FacepipeError, LibraryError
from facepipe.library.check import check
from facepipe.library.data_files import write_data_file
from facepipe.library.delta_tables import open_table
from facepipe.library.library import Library
from facepipe.schemas import PEOPLE, TABLES
from tests.library_rows import (
    error_rows,
    face_ids_of,
    file_rows,
    photo_id_of,
    table_of,
    uri_of,
    write_batch,
)


def files_of(library: Library, table: str) -> set[str]:
    return {file.path for file in library.data_files(table)}


def test_read_returns_the_columns_asked_for_in_their_order(library: Library) -> None:
    table = library.read("faces", ["score", "face_id"])
    assert table.schema.names == ["score", "face_id"]
    assert sorted(table["face_id"].to_pylist()) == sorted([*face_ids_of("a", 2), *face_ids_of("b", 1)])
    assert library.read("tombstones", ["at"]).schema.names == ["at"]
    for name, schema in TABLES.items():
        assert library.read(name).schema.equals(schema)


def test_read_with_a_filter_keeps_unfinished_batches_hidden(library: Library) -> None:
    found = library.read("faces", ["face_id"], where=pc.field("photo_id") == photo_id_of("a"))
    assert sorted(found["face_id"].to_pylist()) == face_ids_of("a", 2)


def test_rewrite_touches_only_the_files_that_change(library: Library) -> None:
    with library.writer("test") as writer:
        writer.append("files", file_rows("x", "y"))
        before = files_of(library, "files")
        version = open_table(library.storage, "files").version()
        writer.delete("files", "photo_id", pa.array([photo_id_of("x"), "unknown"]))
        assert open_table(library.storage, "files").version() == version + 1
    after = files_of(library, "files")
    assert len(before - after) == len(after - before) == 1
    assert sorted(library.read("files")["photo_id"].to_pylist()) == sorted(map(photo_id_of, "abcdy"))


def test_a_file_left_without_rows_goes(library: Library) -> None:
    with library.writer("test") as writer:
        writer.append("files", file_rows("x"))
        writer.delete("files", "uri", pa.array([uri_of("x")]))
    assert len(files_of(library, "files")) == 1


def test_what_changes_nothing_commits_nothing(library: Library) -> None:
    with library.writer("test") as writer:
        versions = [open_table(library.storage, name).version() for name in TABLES]
        none = pa.array([], pa.string())
        writer.append("files", file_rows())
        writer.upsert("errors", "uri", error_rows())
        writer.delete("files", "uri", none)
        writer.delete("files", "uri", pa.array([None, "file:///unknown.jpg"]))
        writer.rewrite("faces", lambda rows: rows)
        writer.mark_missing(none, none)
        writer.mark_missing(none, pa.array([uri_of("a")]))
        writer.forget_files(none, none)
        writer.commit_batches([], [], error_rows())
        writer.commit_files(file_rows(), error_rows())
        assert [open_table(library.storage, name).version() for name in TABLES] == versions


def test_rows_with_nulls_are_kept_when_others_go(library: Library) -> None:
    with library.writer("test") as writer:
        writer.append("errors", error_rows("u", stage="ingest"))
        writer.delete("errors", "photo_id", pa.array([photo_id_of("d"), None]))
    assert sorted(library.read("errors")["uri"].to_pylist()) == [uri_of("e"), uri_of("u")]


def test_replace_leaves_the_new_rows_alone(library: Library) -> None:
    with library.writer("test") as writer:
        writer.append("people", table_of("people", [{"person_id": "bob"}]))
        writer.replace("people", table_of("people", [{"person_id": "eve"}]))
        assert library.read("people")["person_id"].to_pylist() == ["eve"]
        writer.replace("people", PEOPLE.empty_table())
    assert library.read("people").equals(PEOPLE.empty_table())
    assert len(files_of(library, "people")) == 1, "readers that take a list of files need one"


def test_upsert_replaces_rows_of_the_same_key_in_one_commit(library: Library) -> None:
    with library.writer("test") as writer:
        version = open_table(library.storage, "errors").version()
        writer.upsert("errors", "uri", error_rows("e", "f", code="timeout"))
        assert open_table(library.storage, "errors").version() == version + 1
    codes = dict(zip(*(library.read("errors")[name].to_pylist() for name in ("uri", "code")), strict=True))
    assert codes == {uri_of("d"): "truncated", uri_of("e"): "timeout", uri_of("f"): "timeout"}


def test_missing_files_are_marked_once_and_unmarked_when_back(library: Library) -> None:
    first, second = (datetime(2022, 1, day, tzinfo=UTC) for day in (1, 2))
    none = pa.array([], pa.string())

    def missing() -> dict[str, Any]:
        rows = library.read("files", ["uri", "missing_since"]).to_pylist()
        return {row["uri"]: row["missing_since"] for row in rows if row["missing_since"]}

    with library.writer("test") as writer:
        writer.mark_missing(pa.array([uri_of("a"), uri_of("b")]), none, first)
        writer.mark_missing(pa.array([uri_of("b"), uri_of("c")]), none, second)
        assert missing() == {uri_of("a"): first, uri_of("b"): first, uri_of("c"): second}
        writer.mark_missing(pa.array([uri_of("d")]), pa.array([uri_of("a"), uri_of("c")]), second)
        assert missing() == {uri_of("b"): first, uri_of("d"): second}
    assert library.read("files").num_rows == 4


def test_a_photo_that_succeeds_from_another_copy_clears_its_errors(library: Library) -> None:
    with library.writer("test") as writer:
        writer.commit_batches(*write_batch(library, {"d": 1}, "batch-3"))
        writer.append("assignments", table_of("assignments", [{"face_id": face_ids_of("d", 1)[0], "origin": "auto"}]))
    assert library.read("errors")["uri"].to_pylist() == [uri_of("e")]
    assert check(library) == []


def test_rows_that_do_not_fit_are_a_bug(library: Library) -> None:
    with pytest.raises(FacepipeError, match="don't fit it"):
        write_data_file(library.location, "people", table_of("people", []).drop_columns(["name"]))
    with pytest.raises(FacepipeError, match="don't fit it"):
        write_data_file(library.location, "people", pa.table({**{n: ["x"] for n in PEOPLE.names}}))
    assert not list(Path(library.location).rglob("*.tmp"))


def test_columns_may_come_in_another_order_and_type(library: Library) -> None:
    rows = table_of("tombstones", [{"digest": "x"}])
    with library.writer("test") as writer:
        writer.append("tombstones", rows.select(["at", "digest"]).append_column("more", pa.array([1])))
    assert library.read("tombstones").equals(rows)


def test_data_files_are_compressed_and_say_what_they_hold(library: Library) -> None:
    file = write_data_file(library.location, "files", file_rows("x", "y"))
    path = Path(library.location, "tables/files", file.path)
    assert (file.num_records, file.size) == (2, path.stat().st_size)
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    assert library.read("files").num_rows == 4, "uncommitted files don't count"


def test_a_full_disk_is_one_sentence_and_leaves_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(Path(library.location, "tables/files").iterdir())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LibraryError, match=r"cannot write .*: No space left on device$"):
        write_data_file(library.location, "files", file_rows("x"))
    assert sorted(Path(library.location, "tables/files").iterdir()) == before


def test_a_damaged_file_is_one_sentence(library: Library) -> None:
    (file,) = library.data_files("people")
    Path(library.location, "tables/people", file.path).unlink()
    with pytest.raises(LibraryError, match=r"the table 'people' of .* can't be read") as raised:
        library.read("people")
    assert "\n" not in str(raised.value)


def test_data_files_and_log_entries_are_fsynced(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    with library.writer("test") as writer:
        monkeypatch.setattr(os, "fsync", note)
        writer.append("files", file_rows("x"))
    table = f"{library.location}/tables/files"
    version = open_table(library.storage, "files").version()
    assert any(path.startswith(f"{table}/") and path.endswith(".tmp") for path in synced)
    assert synced[-3:] == [table, f"{table}/_delta_log/{version:020}.json", f"{table}/_delta_log"]


def test_names_and_ids_never_reach_a_log(library: Library) -> None:
    with library.writer("test") as writer:
        writer.rewrite("people", lambda rows: rows.set_column(1, "name", pa.array(["Grace Hopper"] * rows.num_rows)))
        writer.delete("people", "name", pa.array(["Grace Hopper"]))
        writer.replace("people", table_of("people", [{"person_id": "person-17", "name": "Ada Lovelace"}]))
    for name in TABLES:
        open_table(library.storage, name).create_checkpoint()
    secrets = [b"Ada", b"Lovelace", b"Grace", b"Hopper", b"person-17", photo_id_of("a").encode(), b"photos/a.jpg"]
    entries = [path for path in Path(library.location).glob("tables/*/_delta_log/*") if path.is_file()]
    assert len(entries) > 2 * len(TABLES)
    for entry in entries:
        content = entry.read_bytes()
        if entry.suffix == ".parquet":
            content += str(pq.read_table(entry).to_pylist()).encode()
        assert not [secret for secret in secrets if secret in content], entry


def test_what_is_done_again_is_cleared_first(library: Library) -> None:
    with library.writer("test") as writer:
        writer.forget_files(pa.array([uri_of("a"), uri_of("c")]), pa.array([uri_of("e")]))
    assert sorted(library.read("files")["uri"].to_pylist()) == [uri_of("b"), uri_of("d")]
    assert library.read("errors")["uri"].to_pylist() == [uri_of("d")]
    assert check(library) == []
