"""`kill -9` at any moment, of the run or of its workers, costs time, never rows."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from facepipe.library.check import check as find_problems
from facepipe.library.compaction import FEWEST_FILES
from facepipe.library.library import Library
from facepipe.schemas import TABLES
from tests.equal_tables import assert_equal_libraries
from tests.program import facepipe, start

SEED = 20240917
PHOTOS = 20
COMMIT_EACH = ["--set", "runtime.commit_seconds=0"]
OFTEN = ["--set", "runtime.batch_rows=2", *COMMIT_EACH]
ONE_BY_ONE = ["--set", "runtime.batch_rows=1", *COMMIT_EACH]
PATIENCE = 400  # seconds, for whatever a test waits for
RUNS_BEFORE = 3  # of the library `begun`
ACTOR, DECODER = "ray::MapWorker", "facepipe.isolation"


@pytest.fixture(scope="module")
def album(data: Path, weights: tuple[str, str]) -> Path:
    return data / "album"


@pytest.fixture(scope="module")
def undisturbed(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("undisturbed") / "library"
    assert facepipe("run", album, "--library", library, "--engine", "local").code == 0
    return library


@pytest.fixture(scope="module")
def begun(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that lacks one photo's faces and one small file to be compacted, and is not grouped yet."""
    library = tmp_path_factory.mktemp("begun") / "library"
    assert facepipe("ingest", album, "--library", library, "--engine", "local").code == 0
    for batches, rows in ((FEWEST_FILES - 2, 1), (1, PHOTOS - 1 - (FEWEST_FILES - 2))):
        limits = ["--limit", str(batches * rows), "--set", f"runtime.batch_rows={rows}"]
        assert facepipe("extract", "--library", library, "--engine", "local", *limits, *COMMIT_EACH).code == 0
    return library


def log_entries(library: Path, table: str = "*") -> int:
    """Return how many commits a table (or all of them) holds: it grows all through a run."""
    return sum(1 for _ in library.glob(f"tables/{table}/_delta_log/*.json"))


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"


DRIVER_KILLS = [
    ("ray", 0),
    pytest.param("local", 1, marks=pytest.mark.long),
    pytest.param("local", 2, marks=pytest.mark.long),
    *(pytest.param("ray" if attempt % 2 else "local", attempt, marks=pytest.mark.long) for attempt in range(3, 10)),
]


@pytest.mark.parametrize(("engine", "attempt"), DRIVER_KILLS)
def test_a_killed_run_is_made_good_by_the_next(
    engine: str, attempt: int, album: Path, undisturbed: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    moment = 2 * len(TABLES) + random.Random(SEED + attempt).randint(4, 32)  # tables and epochs, then 3 commits a batch
    print(f"seed {SEED + attempt}: killed after commit {moment}")
    process = start("run", album, "--library", library, "--engine", engine, *OFTEN)
    wait_until(lambda: log_entries(library) >= moment, process)
    kill(process)
    done = len(Library.open(library).read("photos"))

    again = facepipe("run", album, "--library", library, "--engine", engine, "--json", *OFTEN)
    assert again.code == 0, again.err
    assert again.json["stages"]["extract"]["rows"] == PHOTOS - done, "what was committed is computed again"
    assert facepipe("check", "--library", library).code == 0
    assert_equal_libraries(Library.open(undisturbed), Library.open(library))


def written(library: Path, table: str) -> bool:
    """Return whether a run has written to a table that only ever held epochs."""
    return bool(Library.open(library).data_files(table))


LATE_MOMENTS: dict[str, Callable[[Path], bool]] = {
    "neighbors are written": lambda library: written(library, "neighbors"),
    "lineage is written": lambda library: written(library, "lineage"),
    "people are written": lambda library: written(library, "people"),
    "assignments are written": lambda library: written(library, "assignments"),
    "the report is being built": lambda library: (library / ".report.new").exists(),
    "the run is recorded": lambda library: len(Library.open(library).data_files("runs")) > RUNS_BEFORE,
    "photos are compacted": lambda library: len(Library.open(library).data_files("photos")) == 1,
}


EVERY_TIME = ("neighbors are written", "assignments are written", "the report is being built", "photos are compacted")


@pytest.mark.parametrize(
    "moment", [pytest.param(moment, marks=[] if moment in EVERY_TIME else pytest.mark.long) for moment in LATE_MOMENTS]
)
def test_a_run_killed_while_it_groups_reports_or_compacts_is_made_good_by_the_next(
    moment: str, album: Path, undisturbed: Path, begun: Path, tmp_path: Path
) -> None:
    library = Path(shutil.copytree(begun, tmp_path / "library"))
    happened = LATE_MOMENTS[moment]
    assert not happened(library)
    process = start("run", album, "--library", library, "--engine", "local")
    wait_until(lambda: happened(library), process)
    with suppress(ProcessLookupError):  # the last moments are so near the end that the run may win
        os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert happened(library)
    neighbors = Library.open(library).data_files("neighbors")

    again = facepipe("run", album, "--library", library, "--engine", "local", "--json")
    assert again.code == 0, again.err
    assert Library.open(library).data_files("neighbors") == neighbors, "what was searched is searched again"
    assert (again.json["photos_new"], again.json["stages"]["extract"]["rows"]) == (0, 0)
    assert find_problems(Library.open(library)) == []
    assert_equal_libraries(Library.open(undisturbed), Library.open(library))
    assert len(Library.open(library).data_files("faces")) == 1, "its small files are merged"


WORKER_KILLS = [
    ("local", DECODER, 3, 0),
    ("ray", ACTOR, 3, 1),
    pytest.param("local", DECODER, 10, 2, marks=pytest.mark.long),
    pytest.param("ray", ACTOR, 10, 3, marks=pytest.mark.long),
    pytest.param("ray", DECODER, 10, 4, marks=pytest.mark.long),
]


@pytest.mark.parametrize(("engine", "victims", "kills", "attempt"), WORKER_KILLS)
def test_a_run_whose_workers_are_killed_ends_well(
    engine: str, victims: str, kills: int, attempt: int, album: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """Each photo is there once, however often a worker has died; it fails only where the decoder dies at it twice."""
    library = tmp_path / "library"
    moments = sorted(random.Random(SEED + attempt).sample(range(PHOTOS - 4), kills))
    print(f"seed {SEED + attempt}: killed when so many batches were committed: {moments}")
    process = start("run", album, "--library", library, "--engine", engine, "--json", *ONE_BY_ONE)
    for moment in moments:
        commits = 2 + moment  # the table and the epoch
        wait_until(lambda: log_entries(library, "photos") >= commits and bool(workers(process, victims)), process)  # noqa: B023
        assert process.poll() is None, process.communicate()
        victim = workers(process, victims)[0]  # a fresh one has the photo again at which the one before it died
        victim.kill()
        victim.wait(PATIENCE)
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert f'"photos_new": {PHOTOS}' in out
    assert '"photos_failed": 0' in out
    assert find_problems(Library.open(library)) == []
    assert_equal_libraries(Library.open(undisturbed), Library.open(library))


def workers(process: subprocess.Popen[str], victims: str) -> list[psutil.Process]:
    """Return a run's Ray actors or decoding children, in order of age."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if victims in " ".join(child.cmdline()):
                    found.append((child.create_time(), child))
    return [child for _, child in sorted(found, key=lambda pair: pair[0])]


def test_two_runs_at_once_on_one_library(album: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    first = start("run", album, "--library", library, "--engine", "local")
    try:
        wait_until(lambda: log_entries(library) > len(TABLES), first)
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
