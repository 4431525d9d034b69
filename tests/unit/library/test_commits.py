"""Commits under fire: refused, ambiguous, overtaken."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from facepipe.errors import LibraryError
from facepipe.library import commits
from facepipe.library.check import check
from facepipe.library.commits import Change, Committer, epoch_of
from facepipe.library.delta_tables import open_table
from facepipe.library.library import Library
from facepipe.library.recovery import recover
from facepipe.library.writer import Writer
from facepipe.schemas import TABLES
from tests.library_rows import error_rows, face_rows, file_rows, photo_id_of, table_of, write_batch


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "FIRST_PAUSE_S", 0.0)


def contents(library: Library) -> dict[str, list[dict[str, Any]]]:
    return {name: library.read(name).to_pylist() for name in TABLES}


def log_sizes(library: Library) -> dict[str, int]:
    return {name: open_table(library.storage, name).version() for name in TABLES}


OPERATIONS: dict[str, Callable[[Library, Writer], None]] = {
    "append": lambda _, w: w.append("files", file_rows("x")),
    "replace": lambda _, w: w.replace("people", table_of("people", [])),
    "delete": lambda _, w: w.delete("files", "photo_id", pa.array([photo_id_of("a")])),
    "rewrite": lambda _, w: w.rewrite("files", lambda rows: rows.slice(1)),
    "upsert": lambda _, w: w.upsert("errors", "uri", error_rows("e", code="internal")),
    "commit_files": lambda _, w: w.commit_files(file_rows("x"), error_rows("y")),
    "commit_batches": lambda lib, w: w.commit_batches(*write_batch(lib, {"x": 2}, "batch-x"), error_rows("y")),
    "mark_missing": lambda _, w: w.mark_missing(pa.array(["file:///photos/a.jpg"]), pa.array([], pa.string())),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_newer_epoch_stops_the_older_writer_which_changes_nothing(library: Library, name: str) -> None:
    older = Writer(Committer.take_over(library.storage))
    newer = Writer(Committer.take_over(library.storage))
    assert newer.epoch == older.epoch + 1
    before, logs = contents(library), log_sizes(library)
    with pytest.raises(LibraryError, match="another run took over"):
        OPERATIONS[name](library, older)
    assert contents(library) == before
    assert log_sizes(library) == logs
    OPERATIONS[name](library, newer)
    assert contents(library) != before


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_epoch_that_comes_between_look_and_commit_stops_the_writer_too(
    library: Library, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    older = Committer.take_over(library.storage)
    before = contents(library)
    write = older._write

    def overtaken(table: str, change: Change) -> None:
        recover(Writer(Committer.take_over(library.storage)))
        write(table, change)

    monkeypatch.setattr(older, "_write", overtaken)
    with pytest.raises(LibraryError, match="another run took over"):
        OPERATIONS[name](library, Writer(older))
    assert contents(library) == before


def test_an_older_writer_cannot_finish_a_batch_whose_faces_were_dropped(library: Library) -> None:
    older = Writer(Committer.take_over(library.storage))
    faces, photos = write_batch(library, {"x": 2}, "batch-x")
    older.commit_data_files("faces", faces)
    recover(Writer(Committer.take_over(library.storage)))
    with pytest.raises(LibraryError, match="another run took over"):
        older.commit_data_files("photos", photos)
    assert photo_id_of("x") not in library.read("photos")["photo_id"].to_pylist()
    assert check(library) == []


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("arrived", [True, False])
def test_a_commit_that_seems_to_fail_is_done_once(
    library: Library, undisturbed: Library, monkeypatch: pytest.MonkeyPatch, name: str, arrived: bool
) -> None:
    with undisturbed.writer("test") as writer:
        OPERATIONS[name](undisturbed, writer)

    committer = Committer.take_over(library.storage)
    write, failed = committer._write, set()

    def fail_once(table: str, change: Change) -> None:
        if table in failed:
            write(table, change)
            return
        failed.add(table)
        if arrived:
            write(table, change)
        raise CommitFailedError("the connection was reset")

    monkeypatch.setattr(committer, "_write", fail_once)
    OPERATIONS[name](library, Writer(committer))
    assert failed
    assert name == "replace" or check(library) == check(undisturbed)
    for table in TABLES:
        assert library.read(table).num_rows == undisturbed.read(table).num_rows, table


def test_a_commit_that_always_fails_ends_in_one_sentence(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    committer = Committer.take_over(library.storage)
    tries = []

    def fail(table: str, change: Change) -> None:
        tries.append(table)
        raise OSError("No space left on device\nHelp: buy one")

    monkeypatch.setattr(committer, "_write", fail)
    with pytest.raises(LibraryError, match=r"cannot write to the table 'files' .*: No space left on device$"):
        Writer(committer).append("files", file_rows("x"))
    assert len(tries) == commits.ATTEMPTS


def test_a_rewrite_is_planned_again_when_someone_else_has_compacted_the_table(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with library.writer("test") as writer:
        writer.append("files", file_rows("x", "y"))
    committer = Committer.take_over(library.storage)
    write = committer._write
    compacted: list[int] = []

    def compact_first(table: str, change: Change) -> None:
        if not compacted:
            foreign = DeltaTable(library.storage.address("tables", table))
            compacted.append(foreign.optimize.compact()["numFilesRemoved"])
        write(table, change)

    monkeypatch.setattr(committer, "_write", compact_first)
    Writer(committer).delete("files", "photo_id", pa.array([photo_id_of("x")]))
    assert compacted == [2]
    remaining = library.read("files")["photo_id"].to_pylist()
    assert sorted(remaining) == sorted(map(photo_id_of, "abcdy"))


def test_a_writer_that_starts_at_the_same_moment_counts_anew(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Committer._write
    others: list[Committer | None] = []

    def overtaken(self: Committer, table: str, change: Change) -> None:
        if not others:
            others.append(None)
            others.append(Committer.take_over(library.storage))
        write(self, table, change)

    monkeypatch.setattr(Committer, "_write", overtaken)
    mine = Committer.take_over(library.storage)
    assert others[1] is not None
    assert mine.epoch == others[1].epoch + 1
    assert {epoch_of(open_table(library.storage, name)) for name in TABLES} == {mine.epoch}


def test_many_that_start_at_once_get_different_epochs_and_the_highest_wins(library: Library) -> None:
    writers: list[Committer] = []

    def start() -> None:
        try:
            writers.append(Committer.take_over(library.storage))
        except LibraryError as error:
            assert "another run took over" in str(error) or "cannot write" in str(error)  # noqa: PT017

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    epochs = [writer.epoch for writer in writers]
    assert len(set(epochs)) == len(epochs)
    highest = max(epoch_of(open_table(library.storage, name)) for name in TABLES)
    for writer in writers:
        if writer.epoch == highest:
            Writer(writer).append("files", file_rows("x"))
        else:
            with pytest.raises(LibraryError, match="another run took over"):
                Writer(writer).append("files", file_rows("y"))


def test_a_take_over_that_was_killed_half_way_is_outbid_by_the_next(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Committer._write
    done: list[int] = []

    class KilledError(BaseException):
        pass

    def die_after_three(self: Committer, table: str, change: Change) -> None:
        if len(done) == 3:
            raise KilledError
        write(self, table, change)
        done.append(self.epoch)

    with monkeypatch.context() as patched:
        patched.setattr(Committer, "_write", die_after_three)
        with pytest.raises(KilledError):
            Committer.take_over(library.storage)
    assert Committer.take_over(library.storage).epoch == done[0] + 1


def test_the_highest_epoch_of_all_tables_is_outbid(library: Library, tmp_path: Path) -> None:
    first = Path(library.location, "tables", next(iter(TABLES)))
    shutil.copytree(first, tmp_path / "backup")
    older = Committer.take_over(library.storage)
    shutil.rmtree(first)
    shutil.copytree(tmp_path / "backup", first)  # as somebody does who has lost one table
    assert Committer.take_over(library.storage).epoch == older.epoch + 1


def test_the_epoch_outlives_a_checkpoint_and_the_log_before_it(library: Library) -> None:
    with library.writer("test") as writer:
        for _ in range(3):
            writer.append("files", file_rows("x"))
        epoch = writer.epoch
    table = open_table(library.storage, "files")
    table.create_checkpoint()
    for entry in Path(library.location, "tables/files/_delta_log").glob("*.json"):
        if int(entry.stem) < table.version():
            entry.unlink()
    assert epoch_of(open_table(library.storage, "files")) == epoch
    with library.writer("test") as writer:
        assert writer.epoch == epoch + 1


def test_more_commits_than_a_checkpoint_takes(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    with library.writer("test") as writer:
        for number in range(105):
            writer.append("tombstones", table_of("tombstones", [{"digest": str(number)}]))
    assert list(Path(library.location, "tables/tombstones/_delta_log").glob("*.checkpoint.parquet"))
    assert library.read("tombstones")["digest"].to_pylist() == [str(number) for number in range(105)]
    with library.writer("test") as writer:
        assert writer.epoch == 2
    assert check(library) == []


@pytest.mark.parametrize("lost", ["faces", "photos"])
def test_a_data_file_that_vanished_is_never_committed(library: Library, lost: str) -> None:
    faces, photos = write_batch(library, {"x": 2}, "batch-x")
    file = {"faces": faces, "photos": photos}[lost][0]
    Path(library.location, "tables", lost, file.path).unlink()
    logs = log_sizes(library)
    with library.writer("test") as writer:
        logs = log_sizes(library)
        with pytest.raises(LibraryError, match="vanished or changed before it was committed"):
            writer.commit_batches(faces, photos)
    assert log_sizes(library) == logs
    assert check(library) == []


def test_the_same_files_committed_twice_count_once(library: Library) -> None:
    faces, photos = write_batch(library, {"x": 2}, "batch-x")
    with library.writer("test") as writer:
        writer.commit_batches(faces, photos)
        writer.commit_batches(faces, photos)
    assert library.read("photos")["photo_id"].to_pylist().count(photo_id_of("x")) == 1
    assert check(library) == []


def test_commit_times_in_the_log_always_grow(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    committer = Committer.take_over(library.storage)
    monkeypatch.setattr(time, "time_ns", lambda: 1_600_000_000_000_000_000)
    monkeypatch.setattr(committer, "_last_time", 1_600_000_000_000)
    for name in ("x", "y", "z"):
        Writer(committer).append("files", file_rows(name))
    now = 1_600_000_000_000
    times = [file.modification_time for file in committer.data_files("files")]
    assert [time - now for time in times if time - now < 1000] == [1, 2, 3]


def test_faces_of_unfinished_batches_are_hidden(library: Library) -> None:
    with library.writer("test") as writer:
        writer.append("faces", face_rows({"h": 3}, "batch-lost"))
    assert library.read("faces").num_rows == 3
    assert sum(batch.num_rows for batch in library.iterate("faces", ["face_id"])) == 3
    assert len(library.data_files("faces")) == 2
    with library.writer("next"):
        assert len(library.data_files("faces")) == 1
