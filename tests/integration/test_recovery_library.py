"""A run killed before any of its commits: the next one makes the library equal to one that was never disturbed."""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from facepipe.errors import LibraryError
from facepipe.library.check import check
from facepipe.library.commits import Change, Committer
from facepipe.library.library import Library
from facepipe.library.pending import compare_listing, pending_photos
from facepipe.library.recovery import recover
from facepipe.library.writer import Writer
from facepipe.schemas import LISTED_FILE
from tests.equal_tables import assert_equal_libraries
from tests.library_rows import (
    MODIFIED,
    error_rows,
    face_rows,
    file_rows,
    group,
    photo_id_of,
    table_of,
    uri_of,
    write_batch,
)

PHOTOS = {"a": 2, "b": 1, "c": 0, "d": 3, "e": 1}
BROKEN = "f"
UNREADABLE = "g"
BATCH = 2
SEED = 20240919


class KilledError(BaseException):
    """Ends a run like a signal: nothing in the package catches it."""


def listing() -> pa.Table:
    rows = [
        {"uri": uri_of(name), "bytes": 1000 + ord(name), "modified_at": MODIFIED, "status": "", "message": ""}
        for name in [*PHOTOS, BROKEN, UNREADABLE]
    ]
    return pa.Table.from_pylist(rows, schema=LISTED_FILE)


def work(library: Library, source: Path, note: Callable[[str], None] = lambda _: None) -> None:
    """Do what a run does to the tables, without its computing: ingest, extract in batches, group, record.

    Args:
        library: the library.
        source: any folder that exists.
        note: called with each photo that is extracted.
    """
    name_of = {photo_id_of(name): name for name in [*PHOTOS, BROKEN]}
    with library.writer("run") as writer:
        found = compare_listing(listing(), library.read("files"), library.read("errors"), [source])
        writer.forget_files(found.changed, found.cleared)
        new = [uri.rpartition("/")[2].removesuffix(".jpg") for uri in found.new["uri"].to_pylist()]
        for start in range(0, len(new), 4):
            part = new[start : start + 4]
            failed = [name for name in part if name == UNREADABLE]
            good = [name for name in part if name != UNREADABLE]
            writer.commit_files(file_rows(*good), error_rows(*failed, code="unreadable", stage="ingest"))
        pending = pending_photos(library.read("files"), library.read("photos"), library.read("errors"))
        names = [name_of[photo_id] for photo_id in pending["photo_id"].to_pylist()]
        for start in range(0, len(names), BATCH):
            part = names[start : start + BATCH]
            good = [name for name in part if name != BROKEN]
            for name in good:
                note(name)
            batch_id = f"batch-{writer.epoch}-{start}"  # new at each attempt
            faces, photos = write_batch(library, {name: PHOTOS[name] for name in good}, batch_id) if good else ([], [])
            writer.commit_batches(faces, photos, error_rows(*[name for name in part if name == BROKEN]))
        group(library, writer)
        writer.append("runs", table_of("runs", [{"run_id": str(writer.epoch), "command": "run"}]))


class Countdown:
    """Kills before the n-th commit that comes after a writer has taken over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commits = 0
        self.fatal = -1
        write = Committer._write

        def counted(committer: Committer, table: str, change: Change) -> None:
            if change.add or change.remove:
                if self.commits == self.fatal:
                    raise KilledError
                self.commits += 1
            write(committer, table, change)

        monkeypatch.setattr(Committer, "_write", counted)

    def arm(self, fatal: int) -> None:
        self.commits, self.fatal = 0, fatal


@pytest.fixture
def countdown(monkeypatch: pytest.MonkeyPatch) -> Countdown:
    return Countdown(monkeypatch)


def fresh(tmp_path: Path, name: str) -> Library:
    if not (tmp_path / "empty").exists():
        Library.create_or_open(tmp_path / "empty")
    return Library.open(shutil.copytree(tmp_path / "empty", tmp_path / name))


def test_a_run_killed_before_any_commit_is_made_good(tmp_path: Path, countdown: Countdown) -> None:
    undisturbed = fresh(tmp_path, "undisturbed")
    work(undisturbed, tmp_path)
    total = countdown.commits
    assert total >= 10
    assert check(undisturbed) == []
    for fatal in range(total):
        library = fresh(tmp_path, f"killed-{fatal}")
        countdown.arm(fatal)
        with pytest.raises(KilledError):
            work(library, tmp_path)
        done = {name for name in PHOTOS if photo_id_of(name) in library.read("photos")["photo_id"].to_pylist()}
        countdown.arm(-1)
        extracted: list[str] = []
        work(library, tmp_path, extracted.append)
        assert set(extracted) == PHOTOS.keys() - done, f"killed before commit {fatal}: not what was left to do"
        assert check(library) == [], f"killed before commit {fatal}"
        assert_equal_libraries(undisturbed, library)


def test_runs_killed_again_and_again_get_there(tmp_path: Path, countdown: Countdown) -> None:
    undisturbed = fresh(tmp_path, "undisturbed")
    work(undisturbed, tmp_path)
    library = fresh(tmp_path, "killed")
    print(f"seed {SEED}")
    draw = random.Random(SEED)
    for _ in range(6):
        countdown.arm(draw.randint(0, 4))
        with pytest.raises(KilledError):
            work(library, tmp_path)
    countdown.arm(-1)
    work(library, tmp_path)
    assert check(library) == []
    assert_equal_libraries(undisturbed, library)


def test_a_second_run_finds_nothing_to_do(tmp_path: Path, countdown: Countdown) -> None:
    library, undisturbed = fresh(tmp_path, "twice"), fresh(tmp_path, "once")
    work(library, tmp_path)
    work(undisturbed, tmp_path)
    extracted: list[str] = []
    countdown.arm(-1)
    work(library, tmp_path, extracted.append)
    assert extracted == []
    assert countdown.commits == 3, "the grouping (two tables) and the run's row"
    assert_equal_libraries(library, undisturbed)


def test_recovery_itself_may_be_killed_and_repeated(tmp_path: Path, countdown: Countdown) -> None:
    library = fresh(tmp_path, "library")
    with library.writer("run") as writer:
        writer.commit_files(file_rows("a", "b", "h"), error_rows())
        writer.commit_batches(*write_batch(library, {"a": 2}, "batch-1"))
        # What three killed runs may leave: a whole file of orphans, orphans beside good faces, a resolved error.
        writer.commit_data_files("faces", write_batch(library, {"b": 1}, "batch-2")[0])
        mixed = pa.concat_tables([library.read("faces").slice(0, 1), *lost_faces(library)])
        writer.rewrite("faces", lambda rows: mixed if rows["batch_id"][0].as_py() == "batch-1" else rows)
        writer.append("faces", restored_face(library, mixed))
        writer.append("errors", error_rows("a"))
    assert len(check(library)) == 2  # orphans, and a file that both succeeded and failed
    expected = library.read("faces").num_rows
    for fatal in (0, 1):
        countdown.arm(fatal)
        with pytest.raises(KilledError), library.writer("killed"):
            pass
    countdown.arm(-1)
    with library.writer("next") as writer:
        commits = countdown.commits
        recover(writer)
        assert countdown.commits == commits, "a second recovery has nothing to do"
    assert check(library) == []
    assert library.read("faces").num_rows == expected
    assert len(library.data_files("faces")) == 2, "the file of orphans has gone as a whole"
    assert library.read("errors").num_rows == 0


def lost_faces(library: Library) -> list[pa.Table]:
    return [face_rows({"h": 2}, "batch-lost")]


def restored_face(library: Library, mixed: pa.Table) -> pa.Table:
    """Return the face of photo a that the mixed file took out."""
    rows = face_rows({"a": 2}, "batch-1")
    kept = mixed["face_id"].to_pylist()
    return rows.filter(pa.array([face_id not in kept for face_id in rows["face_id"].to_pylist()]))


def test_an_older_run_cannot_disturb_the_newer_one(tmp_path: Path) -> None:
    """Two runs on one library without a lock (as on an object store): each batch is there once, whoever wrote it."""
    library, undisturbed = fresh(tmp_path, "library"), fresh(tmp_path, "undisturbed")
    work(undisturbed, tmp_path)
    older = Writer(Committer.take_over(library.storage))
    older.commit_files(file_rows("a", "b"), error_rows())
    older.commit_batches(*write_batch(library, {"a": 2}, "older-1"))
    faces, photos = write_batch(library, {"b": 1}, "older-2")
    older.commit_data_files("faces", faces)
    work(library, tmp_path)
    with pytest.raises(LibraryError, match="another run took over"):
        older.commit_data_files("photos", photos)
    with pytest.raises(LibraryError, match="another run took over"):
        older.replace("people", table_of("people", []))
    assert check(library) == []
    assert_equal_libraries(undisturbed, library)


def lineage_of(run_id: str) -> pa.Table:
    return table_of("lineage", [{"run_id": run_id, "new_person_id": "ada", "faces": 2, "kind": "new"}])


def test_lineage_counts_once_its_assignments_are_there(tmp_path: Path) -> None:
    """Whether or not the run went on to be recorded."""
    library = fresh(tmp_path, "library")
    with library.writer("killed before its assignments") as writer:
        writer.append("lineage", lineage_of("1"))
    with library.writer("killed after its assignments") as writer:
        assert library.read("lineage").num_rows == 0
        writer.append("lineage", lineage_of("2"))
        group(library, writer)
    with library.writer("killed before its assignments") as writer:
        writer.append("lineage", lineage_of("3"))
    with library.writer("next"):
        assert library.read("lineage")["run_id"].to_pylist() == ["2"]


def test_times_in_the_log_grow_from_machine_to_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = fresh(tmp_path, "library")
    with library.writer("on a machine whose clock is right") as writer:
        group(library, writer)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 3_600 * 10**9)
    with library.writer("on one whose clock is an hour late") as writer:
        writer.append("lineage", lineage_of("1"))
        assert library.data_files("lineage")[0].modification_time > writer.grouped_at()
