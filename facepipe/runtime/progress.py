"""How far a step has come: a live bar on a terminal, a plain line every ten seconds elsewhere."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

PLAIN_LINE_SECONDS = 10.0


@dataclass
class StepProgress:
    """Counts of one step, shown as they grow.

    Attributes:
        step: its name.
        rows: what its rows are: files, photos, faces.
        total: rows to do.
        done: rows done.
        faces: faces found in them.
        errors: rows that failed.
        since: when the first row was taken up, by the monotonic clock; starting Ray and loading models lie before it.
    """

    step: str
    rows: str
    total: int
    done: int = 0
    faces: int = 0
    errors: int = 0
    since: float = field(default_factory=time.monotonic)
    _bar: Progress | None = None

    def advance(self, rows: int, faces: int = 0, errors: int = 0, *, seconds: float | None = None) -> None:
        """Add to the counts and show them.

        Args:
            rows: that are done now.
            faces: found in them.
            errors: of them failed.
            seconds: since the step's first row was taken up; none: since the progress is shown.
        """
        self.done += rows
        self.faces += faces
        self.errors += errors
        if seconds is not None:
            self.since = time.monotonic() - seconds
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.done, figures=self.figures())

    def figures(self) -> str:
        """Return rows/s, and faces and errors where there are any."""
        if not self.done:
            return "starting"
        rate = self.done / max(time.monotonic() - self.since, 1e-9)
        parts = [f"{rate:.1f} {self.rows}/s"]
        parts += [f"{self.faces:,} faces"] if self.faces else []
        parts += [f"{self.errors:,} failed"] if self.errors else []
        return ", ".join(parts)

    def line(self) -> str:
        """Return the counts as one line of a log."""
        return f"{self.step}: {self.done:,} of {self.total:,} {self.rows}, {self.figures()}"


@contextmanager
def show_progress(step: str, rows: str, total: int) -> Iterator[StepProgress]:
    """Show a step's progress on stderr while the block runs; nothing where there is nothing to do.

    Args:
        step: its name.
        rows: what it works on: files, photos, faces.
        total: how many of them.
    """
    progress = StepProgress(step, rows, total)
    console = Console(stderr=True)
    if total == 0:
        yield progress
    elif console.is_terminal:
        with _live_bar(progress, console):
            yield progress
    else:
        with _plain_lines(progress):
            yield progress


@contextmanager
def _live_bar(progress: StepProgress, console: Console) -> Iterator[None]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        bar.add_task(progress.step, total=progress.total, figures=progress.figures())
        progress._bar = bar
        yield


@contextmanager
def _plain_lines(progress: StepProgress) -> Iterator[None]:
    """Print a line every ten seconds, also while nothing comes back: a log that stands still looks like a hang."""
    ended = threading.Event()

    def print_lines() -> None:
        while not ended.wait(PLAIN_LINE_SECONDS):
            print(progress.line(), file=sys.stderr, flush=True)  # noqa: T201

    printer = threading.Thread(target=print_lines, daemon=True)
    printer.start()
    try:
        yield
    finally:
        ended.set()
        printer.join()
