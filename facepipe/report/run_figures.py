"""What `run --json` says, as lines for people."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from facepipe.report.wording import clock, counted, decimal, duration


@dataclass(frozen=True)
class StageFigures:
    """One step of the run; `share` is its part of all steps' seconds in percent, `inner` marks a part of a step."""

    name: str
    seconds: str
    rows: str
    rate: str
    share: float
    inner: bool


@dataclass(frozen=True)
class RunFigures:
    """A run as its page shows it: pairs of label and value; what the run doesn't say is left out."""

    sentence: str
    facts: list[tuple[str, str]]
    stages: list[StageFigures]
    versions: list[tuple[str, str]]
    settings: list[tuple[str, str]]


def run_figures(run: Mapping[str, Any]) -> RunFigures:
    """Return the lines for a run's JSON; all of its keys may be absent, as in a report made on its own."""
    return RunFigures(
        sentence=_sentence(run),
        facts=list(_facts(run)),
        stages=_stages(run),
        versions=sorted((name, str(version)) for name, version in _mapping(run.get("versions")).items()),
        settings=sorted(_flat(_mapping(run.get("config")))),
    )


def _sentence(run: Mapping[str, Any]) -> str:
    parts = []
    if "photos_seen" in run:
        parts.append(f"{counted(run['photos_seen'], 'photo')} seen")
    for key, word in (("photos_new", "new"), ("photos_skipped", "known already"), ("photos_failed", "failed")):
        if run.get(key):
            parts.append(f"{run[key]:,} {word}")
    sentence = ", ".join(parts)
    if sentence and run.get("seconds") is not None:
        sentence += f", in {duration(run['seconds'])}"
    return sentence


def _facts(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    command = run.get("command")
    if command:
        yield "Command", command if isinstance(command, str) else " ".join(map(str, command))
    for key, label in (("started_at", "Started"), ("finished_at", "Finished")):
        if run.get(key):
            yield label, clock(run[key])
    for key, label in (
        ("photos_seen", "Photos seen"),
        ("photos_new", "New photos"),
        ("photos_skipped", "Known already"),
        ("photos_failed", "Failed"),
        ("faces", "Faces"),
        ("people", "People"),
        ("unassigned", "Unassigned faces"),
        ("duplicate_groups", "Groups of copies"),
    ):
        if run.get(key) is not None:
            yield label, f"{run[key]:,}"
    if run.get("seconds") is not None:
        yield "Time", duration(run["seconds"])
    if run.get("photos_per_second") is not None:
        yield "Photos a second", decimal(run["photos_per_second"])
    if run.get("run_id"):
        yield "Run", str(run["run_id"])


def _stages(run: Mapping[str, Any]) -> list[StageFigures]:
    stages = _mapping(run.get("stages"))
    total = sum(figures.get("seconds") or 0 for figures in stages.values())
    rows = []
    for name, figures in stages.items():
        rows.append(_stage(name, figures, total, inner=False))
        rows.extend(_stage(part, of, total, inner=True) for part, of in _mapping(figures.get("inner")).items())
    return rows


def _stage(name: str, figures: Mapping[str, Any], total: float, *, inner: bool) -> StageFigures:
    seconds, count, rate = figures.get("seconds"), figures.get("rows"), figures.get("rows_per_second")
    return StageFigures(
        name=name.replace("_", " "),
        seconds="" if seconds is None else duration(seconds),
        rows="" if count is None else f"{count:,}",
        rate="" if rate is None else decimal(rate),
        share=round(min(100.0, 100 * (seconds or 0) / total), 1) if total > 0 else 0.0,
        inner=inner,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object, which the `runs` table holds as text; anything else is empty."""
    if isinstance(value, str):
        value = json.loads(value)
    return value if isinstance(value, Mapping) else {}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield prefix + key, ", ".join(map(str, value))
        else:
            yield prefix + key, str(value)
