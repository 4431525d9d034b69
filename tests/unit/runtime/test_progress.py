import time

import pytest

from facepipe.runtime import progress as progress_module
from facepipe.runtime.progress import StepProgress, show_progress


def test_figures_count_from_the_first_row_taken_up() -> None:
    progress = StepProgress("extract", "photos", 100)
    assert progress.figures() == "starting"
    progress.advance(40, faces=1200, errors=3, seconds=20.0)
    rate, faces, failed = progress.figures().split(", ")
    assert float(rate.removesuffix(" photos/s")) == pytest.approx(2.0, rel=0.05)
    assert (faces, failed) == ("1,200 faces", "3 failed")


def test_plain_lines_come_while_nothing_comes_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_module, "PLAIN_LINE_SECONDS", 0.02)
    seen = ""
    with show_progress("ingest", "files", 7) as progress:
        deadline = time.monotonic() + 30
        while "\n" not in seen and time.monotonic() < deadline:
            time.sleep(0.01)
            seen += capsys.readouterr().err
        progress.advance(7)
    assert seen.splitlines()[0] == "ingest: 0 of 7 files, starting"


def test_nothing_to_do_shows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress_module, "PLAIN_LINE_SECONDS", 0.001)
    with show_progress("ingest", "files", 0):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
