"""Small files merged and unnamed ones removed: rows stay as they are, whatever happens in between."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facepipe.errors import LibraryError
from facepipe.library import commits, compaction, data_files
from facepipe.library.check import check
from facepipe.library.commits import Change, Committer, epoch_of
from facepipe.library.compaction import FEWEST_FILES, FILE_BYTES, compact, files_to_merge
from facepipe.library.data_files import DataFile, merge_data_files, read_data_files, write_data_file
from facepipe.library.delta_tables import open_table
from facepipe.library.library import Library
from facepipe.library.writer import Writer
from facepipe.schemas import TABLES
from tests.library_rows import (
    face_ids_of,
    face_rows,
    file_rows,
    group,
    photo_id_of,
    table_of,
    write_batch,
)

HOUR_MS = 3_600_000
BATCHES = FEWEST_FILES + 4


class KilledError(BaseException):
    """The end of a run."""


def name_of(number: int) -> str:
    return f"p{number:03}"


def add_batches(library: Library, writer: Writer, first: int, last: int) -> None:
    for number in range(first, last):
        writer.append("files", file_rows(name_of(number)))
        writer.commit_batches(*write_batch(library, {name_of(number): 1 + number % 2}, f"b{number:03}"))


@pytest.fixture(scope="module")
def scattered_once(sound_library: Library, tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("scattered") / "library"
    library = Library.open(shutil.copytree(sound_library.location, folder))
    with library.writer("run") as writer:
        add_batches(library, writer, 0, BATCHES)
        writer.append("faces", face_rows({"lost": 2}, "batch-lost"))
        group(library, writer)
        writer.append("runs", table_of("runs", [{"run_id": "1"}]))
    return library


@pytest.fixture
def scattered(scattered_once: Library, tmp_path: Path) -> Library:
    """A grouped library whose rows lie in many small files, with one unfinished batch among them."""
    return Library.open(shutil.copytree(scattered_once.location, tmp_path / "library"))


def contents(library: Library) -> dict[str, list[object]]:
    return {name: library.read(name).to_pylist() for name in TABLES}


def versions(library: Library) -> dict[str, int]:
    return {name: open_table(library.storage, name).version() for name in TABLES}


def tidy(library: Library) -> None:
    """Compact as a run does at its end, without the recovery at its start."""
    compact(Writer(Committer.take_over(library.storage)))


def folder(library: Library, table: str) -> Path:
    return Path(library.location, "tables", table)


def test_rows_their_order_and_their_batches_stay(scattered: Library) -> None:
    before = contents(scattered)
    raw = read_data_files(scattered.storage, "faces", scattered.data_files("faces"))
    problems = check(scattered)
    tidy(scattered)
    for table in ("files", "photos", "faces"):
        assert len(scattered.data_files(table)) == 1, table
    assert contents(scattered) == before
    assert read_data_files(scattered.storage, "faces", scattered.data_files("faces")).equals(raw)
    assert check(scattered) == problems  # the unfinished batch is still hidden, and still named
    assert len(problems) == 1
    with scattered.writer("next"):
        assert contents(scattered) == before
    assert check(scattered) == []


def test_nothing_to_merge_no_commit(scattered: Library) -> None:
    tidy(scattered)
    committer = Committer.take_over(scattered.storage)
    before = versions(scattered)
    compact(Writer(committer))
    assert versions(scattered) == before


def test_faces_from_before_and_after_a_grouping_lie_apart(scattered: Library) -> None:
    with scattered.writer("extract") as writer:
        add_batches(scattered, writer, BATCHES, 2 * BATCHES)
        compact(writer)
    assert len(scattered.data_files("faces")) == 2
    assert check(scattered) == [], "faces newer than the grouping await their assignment"
    old, new = face_ids_of(name_of(0), 1), face_ids_of(name_of(BATCHES), 1)
    assert scattered.read("faces", ["face_id"], pa.compute.field("face_id").isin(new)).num_rows == 1
    with scattered.writer("damage") as writer:
        writer.delete("assignments", "face_id", pa.array(old))
    (problem, *_) = [problem for problem in check(scattered) if "no assignment" in problem]
    assert old[0] in problem


def test_a_rewritten_file_keeps_its_time(scattered: Library) -> None:
    before = {file.modification_time for file in scattered.data_files("faces")}
    with scattered.writer("test") as writer:  # recovery removes the unfinished batch
        writer.rewrite("faces", lambda rows: rows.slice(0, 1))
        assert {file.modification_time for file in scattered.data_files("faces")} <= before


@pytest.mark.parametrize("fatal", range(4))
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_any_commit_loses_nothing(
    scattered: Library, monkeypatch: pytest.MonkeyPatch, fatal: int, after: bool
) -> None:
    before = contents(scattered)
    write = Committer._write
    done: list[str] = []

    def fatally(self: Committer, table: str, change: Change) -> None:
        fatal_now = len(done) == fatal and bool(change.remove)
        if after or not fatal_now:
            write(self, table, change)
        if fatal_now:
            raise KilledError
        done.extend([table] if change.remove else [])

    with monkeypatch.context() as patched:
        patched.setattr(Committer, "_write", fatally)
        if fatal < 3:  # files, photos and faces are merged
            with pytest.raises(KilledError):
                tidy(scattered)
        else:
            tidy(scattered)
    assert contents(scattered) == before
    with scattered.writer("next") as writer:
        compact(writer)
    assert contents(scattered) == before
    assert check(scattered) == []
    assert len(scattered.data_files("faces")) == 1


def test_an_older_run_compacts_nothing(scattered: Library) -> None:
    older = Writer(Committer.take_over(scattered.storage))
    Committer.take_over(scattered.storage)
    before = versions(scattered)
    with pytest.raises(LibraryError, match="another run took over"):
        compact(older)
    assert versions(scattered) == before


def test_files_that_went_meanwhile_are_not_merged(scattered: Library) -> None:
    writer = Writer(Committer.take_over(scattered.storage))
    files = writer.data_files("files")
    writer.delete("files", "photo_id", pa.array([photo_id_of("a")]))
    before, rows = versions(scattered), scattered.read("files")
    writer.merge_files("files", files)
    assert versions(scattered) == before
    assert scattered.read("files").equals(rows)


def test_a_table_with_other_rows_than_its_log_says_is_left_alone(scattered: Library) -> None:
    files = scattered.data_files("files")
    wrong = [*files[:-1], DataFile(files[-1].path, files[-1].size, 7, 0)]
    names = set(folder(scattered, "files").iterdir())
    with pytest.raises(LibraryError, match="restore the table's folder"):
        merge_data_files(scattered.storage, "files", wrong)
    assert set(folder(scattered, "files").iterdir()) == names


def test_large_tables_pass_through_memory_in_pieces(scattered: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "ROW_GROUP_BYTES", 4096)
    merged = merge_data_files(scattered.storage, "faces", scattered.data_files("faces"))
    parquet = pq.ParquetFile(folder(scattered, "faces") / merged.path)
    assert parquet.num_row_groups > 2
    assert parquet.metadata.num_rows == merged.num_records


def aged(monkeypatch: pytest.MonkeyPatch, hours: float) -> Callable[[], None]:
    """Let commits be some hours old from now on; what is returned ends that."""
    now = Committer.next_time
    context = pytest.MonkeyPatch()
    context.setattr(Committer, "next_time", lambda self: now(self) - int(hours * HOUR_MS))
    return context.undo


def set_age(path: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def test_merged_files_stay_for_an_hour_for_readers(scattered: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = scattered.data_files("faces")
    rows = read_data_files(scattered.storage, "faces", opened)
    for path in folder(scattered, "faces").glob("*.parquet"):
        set_age(path, 30)  # as old as their rows: it is the time of the merge that counts
    tidy(scattered)
    tidy(scattered)
    assert read_data_files(scattered.storage, "faces", opened).equals(rows)


def test_merged_files_go_after_an_hour(scattered: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(scattered)
    opened = scattered.data_files("faces")
    restore = aged(monkeypatch, 1.5)
    try:
        tidy(scattered)
    finally:
        restore()
    for path in folder(scattered, "faces").glob("*.parquet"):
        set_age(path, 1.5)
    tidy(scattered)
    assert not any((folder(scattered, "faces") / file.path).exists() for file in opened)
    assert len(list(folder(scattered, "faces").glob("*.parquet"))) == 1
    assert contents(scattered) == before


def test_files_that_no_log_ever_named_go_after_an_hour(library: Library) -> None:
    young = folder(library, "faces") / write_data_file(library.location, "faces", face_rows({"x": 1}, "x")).path
    old = folder(library, "faces") / write_data_file(library.location, "faces", face_rows({"y": 1}, "y")).path
    unfinished = folder(library, "faces") / "0a.parquet.1b.tmp"
    unfinished.touch()
    set_age(old, 1.2)
    set_age(unfinished, 1.2)
    before = versions(library)
    with library.writer("run") as writer:
        compact(writer)
    assert young.exists()
    assert not old.exists()
    assert not unfinished.exists()
    assert check(library) == []
    assert versions(library) == {name: version + 1 for name, version in before.items()}, "the epochs alone"


def file_of(size: int, number: int) -> DataFile:
    return DataFile(f"{number}.parquet", size, 1, number)


def test_only_many_small_files_are_merged() -> None:
    few = [file_of(1000, number) for number in range(FEWEST_FILES - 1)]
    large = [file_of(FILE_BYTES, number) for number in range(100, 130)]
    assert list(files_to_merge([*few, *large])) == []
    assert list(files_to_merge([*few, *large, file_of(5, 200)])) == [[*few, file_of(5, 200)]]


def test_merged_files_are_of_about_the_size_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FILE_BYTES", 1000)
    small = [file_of(300, number) for number in range(FEWEST_FILES)]
    merging = list(files_to_merge(small))
    assert [file for files in merging for file in files] == small[: sum(map(len, merging))]
    assert {sum(file.size for file in files) for files in merging} == {900}


def test_the_log_stays_short_however_many_commits(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "sync_file", lambda _: None)
    log = folder(library, "runs") / "_delta_log"
    longest = 0
    writer = Writer(Committer.take_over(library.storage))
    for night in range(50):
        for number in range(10):
            writer.append("runs", table_of("runs", [{"run_id": f"{night}-{number}"}]))
        longest = max(longest, len(list(log.iterdir())))
        for entry in log.iterdir():
            set_age(entry, 24 * (50 - night))
    table = open_table(library.storage, "runs")
    assert table.version() > 500
    assert longest <= 64, "an hour's entries and two checkpoints' worth"
    newest = max(int(path.name[:20]) for path in log.glob("*.checkpoint.parquet"))
    assert table.version() - newest <= 20, "entries to read when the table is opened"
    assert epoch_of(table) == writer.epoch
    compact(writer)
    assert len(library.data_files("runs")) == 1
    assert library.read("runs", ["run_id"])["run_id"].to_pylist() == [
        f"{night}-{number}" for night in range(50) for number in range(10)
    ]
    assert check(library) == []
