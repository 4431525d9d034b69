"""The bytes behind every kind of address, and what reading can fail with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from facepipe.errors import ErrorCode, PhotoError, WrongUsageError
from facepipe.sources.read_source import read_source
from facepipe.sources.uris import entry_uri, path_to_uri, split_uri
from tests.archives import write_parquet, write_tar


def code_of(uri: str, max_bytes: int = 100) -> ErrorCode:
    with pytest.raises(PhotoError) as caught:
        read_source(uri, max_bytes)
    return caught.value.code


@pytest.mark.parametrize("name", ["a.jpg", "a#b.jpg", "100%.jpg", "\udcff.jpg", "x.tar", "x.parquet"])
def test_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"photo")
    assert read_source(path_to_uri(tmp_path / name), 5) == b"photo"


def test_members_and_rows(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x#.tar", {"a/b #\udcff.jpg": b"member"})
    assert read_source(entry_uri(path_to_uri(tar), b"a/b #\xff.jpg"), 10) == b"member"
    parquet = write_parquet(tmp_path / "x.PARQUET", [b"row 0", b"row 1"])
    assert read_source(f"{path_to_uri(parquet)}#1", 10) == b"row 1"


@pytest.mark.parametrize("entry", [b"a.jpg", b"a/b#c%.jpg", b"\xff\n", b"17"])
def test_entries_survive_in_addresses(entry: bytes) -> None:
    uri = entry_uri("file:///x%23.tar", entry)
    assert split_uri(uri) == ("file:///x%23.tar", entry)
    assert uri.isascii()
    assert uri.isprintable()
    assert split_uri("file:///a.jpg") == ("file:///a.jpg", None)


def test_size_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.touch()
    os.truncate(path, 1 << 42)  # would not fit into memory
    assert code_of(path.as_uri()) is ErrorCode.TOO_LARGE


def test_what_cannot_be_read(tmp_path: Path) -> None:
    assert code_of((tmp_path / "absent.jpg").as_uri()) is ErrorCode.VANISHED
    os.mkfifo(tmp_path / "pipe.jpg")
    assert code_of((tmp_path / "pipe.jpg").as_uri()) is ErrorCode.UNREADABLE  # at once: nobody writes into it
    assert code_of(tmp_path.as_uri()) is ErrorCode.UNREADABLE
    with pytest.raises(WrongUsageError):
        read_source("https://example.org/a.jpg", 10)


def test_the_process_that_decodes_need_not_load_arrow_for_files_and_members(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"a.jpg": b"x"})
    code = (
        "import sys; from facepipe.sources.read_source import read_source; read_source(sys.argv[1], 9); "
        "print(sorted({'pyarrow', 'deltalake', 'torch'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, f"{path.as_uri()}#a.jpg"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
