"""What earlier runs did: the rows of `runs`, found again and compared."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from facepipe.errors import WrongUsageError
from facepipe.library.library import Library

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class PastRun:
    """A finished run.

    Attributes:
        run_id: a random UUID.
        command: run, extract, …
        started_at: UTC.
        finished_at: UTC.
        config: settings by section and name.
        versions: of Python and of the libraries that decide results, by name.
        counts: photos_seen, faces, people, …; only what the command counts.
        stages: figures by step (seconds, rows, rows_per_second, perhaps inner), in the order in which they ran.
    """

    run_id: str
    command: str
    started_at: datetime
    finished_at: datetime
    config: dict[str, Any]
    versions: dict[str, str]
    counts: dict[str, int]
    stages: dict[str, dict[str, Any]]

    @property
    def seconds(self) -> float:
        """Time from start to end."""
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def photos(self) -> int | None:
        """Photos that the run saw in its sources or, where it had none, worked on; None where it did neither."""
        if "photos_seen" in self.counts:
            return self.counts["photos_seen"]
        extracted: int | None = self.stages.get("extract", {}).get("rows")
        return extracted


def past_runs(library: Library) -> list[PastRun]:
    """Return the finished runs of a library, oldest first; empty where there was none."""
    rows = library.read("runs").sort_by([("started_at", "ascending"), ("run_id", "ascending")]).to_pylist()
    texts = ("config", "versions", "counts", "stages")
    return [PastRun(**{key: json.loads(row[key]) if key in texts else row[key] for key in _COLUMNS}) for row in rows]


_COLUMNS = tuple(PastRun.__dataclass_fields__)


def find_run(runs: Sequence[PastRun], text: str) -> PastRun:
    """Return the run of an id, or of the beginning of one that no other run shares.

    Raises:
        WrongUsageError: there is none, or more than one.
    """
    found = [run for run in runs if run.run_id == text] or [run for run in runs if text and run.run_id.startswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise WrongUsageError(f"{len(found)} runs begin with {text!r}: give more of the id")
    raise WrongUsageError(f"there is no run {text!r}: `facepipe runs list` shows those that there are")


def rates(run: PastRun) -> dict[str, float]:
    """Return rows a second by step, such as `extract`, and by stage in it, such as `extract/detect_faces`."""
    return {name: float(figures["rows_per_second"]) for name, figures in flat_stages(run.stages)}


def flat_stages(stages: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each step's name and figures, followed by those of the stages in it, named `STEP/STAGE`."""
    for name, figures in stages.items():
        yield name, figures
        for inner, of in figures.get("inner", {}).items():
            yield f"{name}/{inner}", of


@dataclass(frozen=True)
class Difference:
    """What differs between two runs: the first's and the second's value by key; None where a run has none.

    Attributes:
        config: settings that differ, by `section.name`.
        versions: of libraries that differ.
        counts: that differ.
        rows_per_second: of every step and stage of either.
    """

    config: dict[str, Pair]
    versions: dict[str, Pair]
    counts: dict[str, Pair]
    rows_per_second: dict[str, Pair]


def compare(first: PastRun, second: PastRun) -> Difference:
    """Return what differs between two runs."""
    return Difference(
        _differing(dict(_flat_config(first.config)), dict(_flat_config(second.config))),
        _differing(first.versions, second.versions),
        _differing(first.counts, second.counts),
        _paired(rates(first), rates(second)),
    )


def _paired(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    return {key: (first.get(key), second.get(key)) for key in dict.fromkeys([*first, *second])}


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    return {key: pair for key, pair in _paired(first, second).items() if pair[0] != pair[1]}


def _flat_config(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat_config(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
