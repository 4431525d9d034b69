"""`kill -9` at any moment costs time, never rows."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from facepipe.library.library import Library
from tests.equal_tables import assert_equal_libraries
from tests.program import facepipe, start

SEED = 20240917
OFTEN = ["--set", "runtime.batch_rows=2", "--set", "runtime.commit_seconds=0"]


@pytest.fixture(scope="module")
def album(data: Path, weights: tuple[str, str]) -> Path:
    return data / "album"


@pytest.fixture(scope="module")
def undisturbed(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("undisturbed") / "library"
    assert facepipe("run", album, "--library", library, "--engine", "local").code == 0
    return library


def log_entries(library: Path) -> int:
    """Return how many commits the tables hold: it grows all through a run."""
    return sum(1 for _ in library.glob("tables/*/_delta_log/*.json"))


@pytest.mark.parametrize(("engine", "attempt"), [("ray", 0), ("local", 1), ("local", 2)])
def test_a_killed_run_is_made_good_by_the_next(
    engine: str, attempt: int, album: Path, undisturbed: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    moment = random.Random(SEED + attempt).randint(28, 56)  # 12 tables + 12 epochs, then about 3 commits a batch
    print(f"seed {SEED + attempt}: killed after commit {moment}")
    process = start("run", album, "--library", library, "--engine", engine, *OFTEN)
    deadline = time.monotonic() + 300
    while log_entries(library) < moment and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    done = len(Library.open(library).read("photos"))

    again = facepipe("run", album, "--library", library, "--engine", engine, "--json", *OFTEN)
    assert again.code == 0, again.err
    assert again.json["stages"]["extract"]["rows"] == 20 - done, "what was committed is computed again"
    assert facepipe("check", "--library", library).code == 0
    assert_equal_libraries(Library.open(undisturbed), Library.open(library))


def test_two_runs_at_once_on_one_library(album: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    first = start("run", album, "--library", library, "--engine", "local")
    try:
        while log_entries(library) < 20 and first.poll() is None:
            time.sleep(0.01)
        second = facepipe("run", album, "--library", library, "--engine", "local")
        assert first.poll() is None, "the first run ended too early for this test to tell anything"
        assert second.code == 1
        assert second.err.startswith("facepipe: ")
        assert second.err.count("\n") == 1
        assert "library" in second.err
    finally:
        _, errors = first.communicate()
    assert first.returncode == 0, errors
    assert facepipe("check", "--library", library).code == 0
