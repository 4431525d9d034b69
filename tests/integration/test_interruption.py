"""Ctrl-C and SIGTERM end a run within seconds; what was done is committed, and the next run goes on."""

import os
import signal
import time
from pathlib import Path

import pytest

from facepipe.library.library import Library
from tests.program import facepipe, start

EVERY_BATCH = ["--set", "runtime.batch_rows=2"]  # commits only every few seconds: batches wait when the signal comes


@pytest.mark.parametrize(
    ("engine", "sent"),
    [
        pytest.param("local", signal.SIGINT, marks=pytest.mark.long),
        ("local", signal.SIGTERM),
        ("ray", signal.SIGINT),
    ],
)
def test_an_interrupted_run_commits_what_is_done_and_goes_on_later(
    engine: str, sent: signal.Signals, data: Path, weights: tuple[str, str], tmp_path: Path
) -> None:
    library = tmp_path / "library"
    process = start("run", data / "album", "--library", library, "--engine", engine, *EVERY_BATCH)
    deadline = time.monotonic() + 300
    while len(list(library.glob("tables/photos/*.parquet"))) < 4 and time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before a few batches were written"
        time.sleep(0.01)
    os.killpg(process.pid, sent)  # as a terminal does: to the whole group
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1].startswith("facepipe: stopped on request")
    assert "Traceback" not in err
    done = len(Library.open(library).read("photos"))
    assert 0 < done < 20

    again = facepipe("run", data / "album", "--library", library, "--engine", "local", "--json")
    assert again.code == 0, again.err
    assert again.json["stages"]["extract"]["rows"] == 20 - done
    assert facepipe("check", "--library", library).code == 0
