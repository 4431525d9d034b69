"""One writer at a time, for as long as its process lives."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from facepipe.errors import LibraryError
from facepipe.library.library import Library

HOLD = """
import os, sys, time
from facepipe.library.library import Library
with Library.open(sys.argv[1]).writer("facepipe run"):
    if sys.argv[2] == "fork" and os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(600)
    if sys.argv[2] != "fork":
        print(os.getpid(), flush=True)
    time.sleep(600)
"""


def hold(library: Library, how: str) -> tuple["subprocess.Popen[str]", int]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, library.location, how], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create_or_open(tmp_path / "library")


def test_a_second_process_is_turned_away_at_once_and_changes_nothing(library: Library) -> None:
    process, pid = hold(library, "alone")
    try:
        before = versions(library)
        with pytest.raises(LibraryError) as raised, library.writer("second"):
            pass
        sentence = str(raised.value)
        assert f"another run (facepipe run, process {pid}) is working on the library {library.location}" in sentence
        assert "\n" not in sentence
        assert raised.value.exit_code == 1
        assert versions(library) == before
        assert Library.create_or_open(library.location) == library, "reading needs no lock"
    finally:
        process.kill()
        process.communicate()
    with library.writer("third") as writer:
        assert writer.epoch == 2


def test_a_forked_child_does_not_keep_the_lock_of_a_killed_run(library: Library) -> None:
    process, child = hold(library, "fork")
    try:
        process.kill()
        process.wait()
        os.kill(child, 0)
        with library.writer("next"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


def test_the_lock_is_given_back_however_the_block_ends(library: Library) -> None:
    with pytest.raises(KeyError), library.writer("first"):
        raise KeyError
    with library.writer("second"):
        pass


def versions(library: Library) -> list[str]:
    return sorted(path.name for path in Path(library.location).glob("tables/*/_delta_log/*"))
