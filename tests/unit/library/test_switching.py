"""Tables that change together, and what waits for that moment."""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from facepipe.errors import LibraryError
from facepipe.library.check import check
from facepipe.library.commits import Change, Committer
from facepipe.library.compaction import compact
from facepipe.library.data_files import DataFile, write_data_file
from facepipe.library.library import Library
from facepipe.library.redone import completed, note_batches, resume, waiting_files
from facepipe.library.switching import switch
from facepipe.library.writer import Writer
from tests.library_rows import face_ids_of, table_of, write_batch


class KilledError(BaseException):
    """The end of a run."""


def batch_of(library: Library, name: str, faces: int, batch_id: str) -> str:
    """Return a batch that was written and that nothing names yet, as a worker hands it over."""
    face_files, (photo_file,) = write_batch(library, {name: faces}, batch_id)
    files = {"photos": asdict(photo_file)}
    if face_files:
        files["faces"] = asdict(face_files[0])
    return json.dumps(files)


def assignments_of(library: Library, person: str | None) -> DataFile:
    rows = [{"face_id": face_ids_of("a", 1)[0], "person_id": person, "probability": 1.0, "origin": "auto"}]
    return write_data_file(library.location, "assignments", table_of("assignments", rows))


def nobody(library: Library) -> dict[str, list[DataFile]]:
    """Return files for a library of one photo with two faces, of which one is assigned to nobody."""
    faces, photos = write_batch(library, {"a": 2}, "batch-new")
    people = write_data_file(library.location, "people", table_of("people", []))
    return {"photos": photos, "faces": faces, "assignments": [assignments_of(library, None)], "people": [people]}


def seen(library: Library) -> tuple[int, int, int, int]:
    return tuple(len(library.read(table)) for table in ("photos", "faces", "assignments", "people"))  # type: ignore[return-value]


@pytest.mark.parametrize("fatal", range(8))
def test_readers_see_all_tables_change_at_once(library: Library, monkeypatch: pytest.MonkeyPatch, fatal: int) -> None:
    write = Committer._write
    done: list[str] = []

    def fatally(committer: Committer, table: str, change: Change) -> None:
        if change.joining or change.remove:
            if len(done) == fatal:
                raise KilledError
            done.append(table)
        write(committer, table, change)

    with monkeypatch.context() as patched, library.writer("killed") as writer:
        patched.setattr(Committer, "_write", fatally)
        if fatal < 7:
            with pytest.raises(KilledError):
                switch(writer, "redo", nobody(library), "{}")
        else:
            switch(writer, "redo", nobody(library), "{}")
    after = (1, 2, 1, 0)
    assert seen(library) == (after if fatal else (3, 3, 3, 1))
    assert check(library) == [], "the face without an assignment is newer than those that have one"
    with library.writer("next") as writer:
        assert len(writer.read("switch", ["at"])) == 0
        assert {file.path for file in writer.data_files("faces")} == {file.path for file in library.data_files("faces")}
    assert seen(library) == (after if fatal else (3, 3, 3, 1))
    assert check(library) == []


def test_a_reader_in_the_middle_of_a_switch_sees_all_or_nothing_of_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables change between its look at `photos` and its look at `faces`."""
    listed = Library.data_files
    changed: list[str] = []

    def with_a_switch_behind(self: Library, table: str) -> list[DataFile]:
        files = listed(self, table)
        if table == "photos" and not changed:
            changed.append(table)
            with self.writer("redo") as writer:
                switch(writer, "redo", nobody(self), "{}")
        return files

    monkeypatch.setattr(Library, "data_files", with_a_switch_behind)
    assert len(library.read("faces")) == 2
    assert changed


def test_a_file_that_has_gone_stops_it_before_anything_changes(library: Library) -> None:
    tables = nobody(library)
    Path(library.location, "tables", "faces", tables["faces"][0].path).unlink()
    with library.writer("redo") as writer, pytest.raises(LibraryError, match="vanished or changed before"):
        switch(writer, "redo", tables, "{}")
    assert seen(library) == (3, 3, 3, 1)
    assert check(library) == []


def test_what_waits_is_invisible_and_outlives_compaction(library: Library) -> None:
    before = seen(library)
    with library.writer("redo") as writer:
        note_batches(writer, "redo", [batch_of(library, "a", 2, "new"), "{}", batch_of(library, "c", 0, "new-2")])
        age(library)
        compact(writer)
        waiting = waiting_files(writer)
    assert [len(waiting[table]) for table in ("photos", "faces")] == [2, 1]
    for table, files in waiting.items():
        assert all(Path(library.location, "tables", table, file.path).exists() for file in files)
    assert seen(library) == before
    assert check(library) == []
    with library.writer("other") as writer:
        resume(writer, "another redo")
        assert waiting_files(writer) == {"photos": [], "faces": []}
        age(library)
        compact(writer)
    assert not Path(library.location, "tables", "faces", waiting["faces"][0].path).exists()


def age(library: Library) -> None:
    """Let every file be two hours old."""
    then = time.time() - 7200
    for path in Path(library.location, "tables").rglob("*.parquet"):
        os.utime(path, (then, then))


def test_batches_whose_files_are_gone_are_done_again(library: Library) -> None:
    with library.writer("redo") as writer:
        note_batches(writer, "redo", [batch_of(library, "a", 2, "new"), batch_of(library, "b", 1, "new-2")])
        (kept, lost) = waiting_files(writer)["faces"]
        Path(library.location, "tables", "faces", lost.path).unlink()
        resume(writer, "redo")
        assert waiting_files(writer)["faces"] == [kept]
        assert len(waiting_files(writer)["photos"]) == 1
        note_batches(writer, "redo", [batch_of(library, "b", 1, "new-3")])
        (_, file) = waiting_files(writer)["photos"]
        Path(library.location, "tables", "photos", file.path).unlink()
        with pytest.raises(LibraryError, match="vanished or changed"):
            note_batches(writer, "redo", [json.dumps({"photos": asdict(file)})])


def test_an_outcome_counts_until_the_next_run_has_ended(library: Library) -> None:
    def note(writer: Writer, run_id: str) -> None:
        writer.append("runs", table_of("runs", [{"run_id": run_id, "command": "extract --redo"}]))

    with library.writer("redo") as writer:
        note(writer, "earlier")
        assert completed(writer, "redo") is None
        switch(writer, "redo", nobody(library), '{"counts": {}}')
    with library.writer("again") as writer:
        assert completed(writer, "redo") == {"counts": {}}
        assert completed(writer, "another") is None
        note(writer, "again")
        assert completed(writer, "redo") is None
        assert waiting_files(writer) == {"photos": [], "faces": []}
