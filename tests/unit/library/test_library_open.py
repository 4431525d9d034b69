"""Creating and opening: what is there afterwards, and what is said where nothing can be opened."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from deltalake import DeltaTable

from facepipe.errors import LibraryError, WrongUsageError
from facepipe.library import library as library_module
from facepipe.library.check import check
from facepipe.library.delta_tables import create_table
from facepipe.library.library import FORMAT, Library
from facepipe.library.storage import Storage
from facepipe.schemas import TABLES


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_library_has_every_table_empty_and_keeps_its_id(tmp_path: Path) -> None:
    created = Library.create_or_open(tmp_path / "deep" / "library")
    for name, schema in TABLES.items():
        assert created.read(name).equals(schema.empty_table())
        table = DeltaTable(str(tmp_path / "deep" / "library" / "tables" / name))
        assert table.metadata().configuration["delta.dataSkippingNumIndexedCols"] == "0"
    assert Library.create_or_open(tmp_path / "deep" / "library") == created == Library.open(created.location)


def test_opening_nothing_says_how_to_make_a_library(tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError, match=r"no library at .*facepipe run"):
        Library.open(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(WrongUsageError, match="holds other files"):
        Library.create_or_open(tmp_path)
    assert names_in(tmp_path) == ["photo.jpg"]


def test_a_file_is_no_place_for_a_library(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WrongUsageError, match="is a file"):
        Library.create_or_open(tmp_path / "file")


@pytest.mark.parametrize(("found", "age"), [(FORMAT + 1, "newer"), (FORMAT - 1, "older")])
def test_another_format_is_refused(tmp_path: Path, found: int, age: str) -> None:
    Library.create_or_open(tmp_path)
    (tmp_path / "library.json").write_text(json.dumps({"format": found, "library_id": "x"}))
    with pytest.raises(LibraryError, match=f"format {found} of an? {age} facepipe"):
        Library.open(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "x", "library_id": "y"}', "\xff"])
def test_a_damaged_record_is_refused(tmp_path: Path, content: str) -> None:
    Library.create_or_open(tmp_path)
    (tmp_path / "library.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(LibraryError, match="is damaged"):
        Library.open(tmp_path)


@pytest.mark.parametrize("survivors", range(len(TABLES) + 1))
def test_a_creation_that_was_killed_is_no_library_and_is_carried_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    made: list[str] = []

    class KilledError(BaseException):
        pass

    def create_some(storage: Storage, name: str) -> None:
        if len(made) == survivors:
            raise KilledError
        made.append(name)
        create_table(storage, name)

    with monkeypatch.context() as patched:
        patched.setattr(library_module, "create_table", create_some)
        if survivors < len(TABLES):
            with pytest.raises(KilledError):
                Library.create_or_open(tmp_path)
            with pytest.raises(WrongUsageError):
                Library.open(tmp_path)
        else:
            Library.create_or_open(tmp_path)
    assert check(Library.create_or_open(tmp_path)) == []


def _create(path: str) -> str:
    try:
        return Library.create_or_open(path).library_id
    except LibraryError as error:
        return str(error)


def test_processes_that_create_at_once_agree_on_one_library(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        answers = pool.map(_create, [str(tmp_path / "library")] * 6, chunksize=1)
    created = Library.open(tmp_path / "library")
    assert created.library_id in answers
    assert all(answer == created.library_id or "wait until it has ended" in answer for answer in answers)
    assert check(created) == []


@pytest.mark.parametrize("name", ["My photos #1 100%", "ä ö?x", "q:z", "d'q\"x", "a+b&c"])
def test_odd_names_are_fine(tmp_path: Path, name: str) -> None:
    assert check(Library.create_or_open(tmp_path / name)) == []
    assert Library.open((tmp_path / name).as_uri()).location == str(tmp_path / name)
    assert names_in(tmp_path) == [name]


@pytest.mark.parametrize("name", ["a%20b", "new\nline", os.fsdecode(b"\xff")])
def test_names_that_delta_would_misread_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongUsageError, match="choose a path"):
        Library.create_or_open(tmp_path / name)
    assert names_in(tmp_path) == []
