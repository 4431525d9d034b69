"""`runs`: what happened to a library, when, with which settings and how fast."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from facepipe.cli.options import common_options, library_option, print_json
from facepipe.cli.printing import print_table

if TYPE_CHECKING:
    from facepipe.library.run_history import PastRun

SHORT_ID = 8
TIME = "%Y-%m-%d %H:%M:%S"


@click.group()
def runs() -> None:
    """Show what finished runs did, and compare them."""


@runs.command("list")
@library_option
@common_options
def list_runs(library: str, as_json: bool, **_settings: Any) -> None:
    """Show every finished run, the newest last."""
    found = _past_runs(library)
    if as_json:
        print_json({"runs": [_line(run) for run in found]})
        return
    if not found:
        click.echo("No run has finished yet.")
        return
    rows = [
        (
            run.run_id[:SHORT_ID],
            f"{run.started_at:{TIME}}",
            run.command,
            _number(run.photos),
            _number(run.counts.get("faces")),
            _number(run.counts.get("people")),
            f"{run.seconds:,.1f}",
        )
        for run in found
    ]
    print_table(("run", "started (UTC)", "command"), ("photos", "faces", "people", "seconds"), rows)


@runs.command()
@click.argument("run_id", metavar="RUN")
@library_option
@common_options
def show(run_id: str, library: str, as_json: bool, **_settings: Any) -> None:
    """Show a run: settings, versions, counts, rows a second of each stage. RUN is an id or the beginning of one."""
    from facepipe.library.run_history import find_run, flat_stages

    run = find_run(_past_runs(library), run_id)
    if as_json:
        print_json({**asdict(run), **_line(run)})
        return
    click.echo(f"{run.command} {run.run_id}")
    click.echo(f"from {run.started_at:{TIME}} to {run.finished_at:{TIME}} UTC, {run.seconds:,.1f} s")
    if run.counts:
        click.echo(", ".join(f"{name.replace('_', ' ')}: {count:,}" for name, count in run.counts.items()))
    stages = (
        (_indented(name), f"{of['rows']:,}", f"{of['seconds']:,.1f}", _rate(of["rows_per_second"]))
        for name, of in flat_stages(run.stages)
    )
    print_table(("stage",), ("rows", "seconds", "rows/s"), stages)
    for section, values in run.config.items():
        settings = ", ".join(f"{name}={_value(value)}" for name, value in values.items())
        click.echo(f"{section}: {settings}")
    click.echo("versions: " + ", ".join(f"{name} {version}" for name, version in run.versions.items()))


@runs.command()
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@library_option
@common_options
def diff(first: str, second: str, library: str, as_json: bool, **_settings: Any) -> None:
    """Show what differs between two runs: settings, versions, counts, and rows a second of each stage."""
    from facepipe.library.run_history import compare, find_run

    found = _past_runs(library)
    pair = find_run(found, first), find_run(found, second)
    difference = compare(*pair)
    if as_json:
        print_json({"runs": [run.run_id for run in pair], **asdict(difference)})
        return
    ids = [run.run_id[:SHORT_ID] for run in pair]
    for title, values in (
        ("setting", difference.config),
        ("version of", difference.versions),
        ("count", difference.counts),
    ):
        if values:
            print_table((title,), ids, ((key, _value(one), _value(other)) for key, (one, other) in values.items()))
        else:
            click.echo(f"No {title.removesuffix(' of')} differs.")
    print_table(("rows/s of",), (*ids, "ratio"), _rate_rows(difference.rows_per_second))


def _past_runs(library: str) -> "list[PastRun]":
    from facepipe.library.library import Library
    from facepipe.library.run_history import past_runs

    return past_runs(Library.open(library))


def _line(run: "PastRun") -> dict[str, Any]:
    """Return what `list --json` says of a run."""
    return {
        "run_id": run.run_id,
        "command": run.command,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat(),
        "seconds": run.seconds,
        "photos": run.photos,
        "faces": run.counts.get("faces"),
        "people": run.counts.get("people"),
    }


def _rate_rows(rates: Mapping[str, tuple[Any, Any]]) -> Iterable[tuple[str, ...]]:
    for name, (one, other) in rates.items():
        yield _indented(name), _rate(one), _rate(other), f"{other / one:.2f}" if one and other else "-"


def _indented(name: str) -> str:
    """Return a stage's name, indented where it is part of a step."""
    _, slash, inner = name.partition("/")
    return f"  {inner}" if slash else name


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
