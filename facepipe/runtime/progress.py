"""How far a step has come: a live bar on a terminal, a plain line every ten seconds elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_LINE_SECONDS = 10.0


@dataclass
class StepProgress:
    """Counts of one step, shown as they grow.

    Attributes:
        step: its name.
        total: rows to do.
        done: rows done.
        faces: faces found in them.
        errors: rows that failed.
    """

    step: str
    total: int
    done: int = 0
    faces: int = 0
    errors: int = 0
    _bar: Progress | None = None
    _started: float = field(default_factory=time.monotonic)
    _last_line: float = field(default_factory=time.monotonic)

    def advance(self, rows: int, faces: int = 0, errors: int = 0) -> None:
        """Add to the counts and show them."""
        self.done += rows
        self.faces += faces
        self.errors += errors
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=rows, figures=self.figures())
        elif time.monotonic() - self._last_line >= PLAIN_LINE_SECONDS:
            self._last_line = time.monotonic()
            print(f"{self.step}: {self.done:,} of {self.total:,}, {self.figures()}", file=sys.stderr, flush=True)  # noqa: T201

    def figures(self) -> str:
        """Return rows/s, and faces and errors where there are any."""
        rate = self.done / max(time.monotonic() - self._started, 1e-9)
        parts = [f"{rate:.1f}/s"]
        parts += [f"{self.faces:,} faces"] if self.faces else []
        parts += [f"{self.errors:,} failed"] if self.errors else []
        return ", ".join(parts)


@contextmanager
def show_progress(step: str, total: int) -> Iterator[StepProgress]:
    """Show a step's progress on stderr while the block runs; nothing where there is nothing to do."""
    progress = StepProgress(step, total)
    console = Console(stderr=True)
    if total == 0 or not console.is_terminal:
        yield progress
        return
    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        bar.add_task(step, total=total, figures="")
        progress._bar = bar
        yield progress
