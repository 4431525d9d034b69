"""What one invocation did: a row of `runs`, and what `--json` prints."""

import json
import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa

from facepipe import schemas

RECORDED_VERSIONS = ("facepipe", "torch", "opencv-python-headless", "pillow", "hdbscan", "deltalake", "pyarrow", "ray")


@dataclass
class Step:
    """One step's figures.

    Attributes:
        name: ingest, extract, dedup, group, report or people; of an inner step, its stage.
        rows: files, photos or faces worked on.
        failed: files that failed.
        seconds: wall time; for steps that open stages, from the first row handed to one until the last commit. Of an
            inner step, the time of all its copies together.
        inner: the stages of the step.
        measured: what else the step has found out about its own work.
        inputs: a digest of what the step's outcome depends on, where it may be left out when that hasn't changed.
    """

    name: str
    rows: int = 0
    failed: int = 0
    seconds: float = 0.0
    inner: "dict[str, Step]" = field(default_factory=dict)
    inputs: str | None = None
    measured: dict[str, float] = field(default_factory=dict)

    def add_inner(self, name: str, rows: int, seconds: float) -> None:
        """Add what a stage has worked on."""
        stage = self.inner.setdefault(name, Step(name))
        stage.rows += rows
        stage.seconds += seconds

    def figures(self) -> dict[str, Any]:
        """Return seconds, rows and rows_per_second, and inner where stages were timed."""
        figures: dict[str, Any] = {
            "seconds": round(self.seconds, 3),
            "rows": self.rows,
            "rows_per_second": round(self.rows / self.seconds, 3) if self.seconds > 0 else 0.0,
        }
        if self.inner:
            figures["inner"] = {name: stage.figures() for name, stage in self.inner.items()}
        figures |= self.measured
        if self.inputs:
            figures["inputs"] = self.inputs
        return figures


@dataclass
class RunRecord:
    """One invocation's row of `runs` as it grows.

    Attributes:
        run_id: a random UUID.
        command: run, extract, …
        config: the settings, JSON.
        started_at: UTC.
        counts: photos_seen, faces, people, …
        steps: figures by step, in the order in which they ran.
        report: path of the report's first page, where one was written.
        details: what `--json` prints beside the counts, such as lists; not kept in `runs`.
        refusal: why the last step was not taken, and what to do; None where all was done.
    """

    command: str
    config: str
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    counts: dict[str, int] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    report: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    refusal: str | None = None
    _started: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time the block as a step, unless the block sets the seconds itself."""
        step = self.steps[name] = Step(name)
        start = time.perf_counter()
        yield step
        step.seconds = step.seconds or time.perf_counter() - start

    def count(self, **counts: int) -> None:
        """Add to the counts."""
        for name, value in counts.items():
            self.counts[name] = self.counts.get(name, 0) + value

    @property
    def photos_tried(self) -> int:
        """How many photos (files, for `ingest` alone) this run has worked on, failed ones included."""
        ingest, extract = (self.steps.get(name, Step(name)) for name in ("ingest", "extract"))
        return extract.rows + ingest.failed if "extract" in self.steps else ingest.rows

    def summary(self) -> dict[str, Any]:
        """Return what `--json` prints: counts, seconds, photos_per_second, the report and stages."""
        seconds = time.monotonic() - self._started
        extracted = self.steps["extract"].rows if "extract" in self.steps else 0
        return {
            **self.counts,
            **self.details,
            "photos_failed": sum(step.failed for step in self.steps.values()),
            "run_id": self.run_id,
            "seconds": round(seconds, 3),
            "photos_per_second": round(extracted / seconds, 3),
            "report": self.report,
            "stages": {name: step.figures() for name, step in self.steps.items()},
        }

    def facts(self) -> dict[str, Any]:
        """Return the summary so far with what the report says beside it."""
        return {
            **self.summary(),
            "command": self.command,
            "started_at": self.started_at,
            "versions": versions(),
            "config": json.loads(self.config),
        }

    def rows(self) -> pa.Table:
        """Return the row of `runs` that says the run has finished now."""
        row = {
            "run_id": self.run_id,
            "command": self.command,
            "config": self.config,
            "versions": json.dumps(versions()),
            "started_at": self.started_at,
            "finished_at": datetime.now(UTC),
            "counts": json.dumps(self.counts),
            "stages": json.dumps({name: step.figures() for name, step in self.steps.items()}),
        }
        return pa.Table.from_pylist([row], schema=schemas.RUNS)


def last_inputs(runs: pa.Table, step: str) -> str | None:
    """Return the inputs of the newest finished run that took a step; None where none did."""
    for row in reversed(runs.sort_by("finished_at").to_pylist()):
        figures = json.loads(row["stages"]).get(step)
        if figures is not None:
            inputs: str | None = figures.get("inputs")
            return inputs
    return None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide results."""
    found = {"python": platform.python_version()}
    for name in RECORDED_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
