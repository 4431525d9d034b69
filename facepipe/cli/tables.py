"""What commands print for people: summaries and tables."""

from collections.abc import Iterable, Mapping
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from facepipe.library.library import Library

PEOPLE_SHOWN = 20


def print_summary(summary: Mapping[str, Any], library: Library) -> None:
    """Print a run's figures, the largest people and the report's path."""
    seen = summary.get("photos_seen")
    if seen is not None:
        parts = [f"{summary['photos_new']:,} new", f"{summary['photos_skipped']:,} known"]
        parts += [f"{summary['photos_failed']:,} failed"] if summary["photos_failed"] else []
        parts += _videos(summary)
        click.echo(f"{_counted(seen, 'photo')} seen: {', '.join(parts)}")
    if "people" in summary:
        print_people(library)
        click.echo(
            f"{summary['faces']:,} faces, {summary['people']:,} people, {summary['unassigned']:,} faces unassigned"
        )
        if summary.get("faces_before"):
            changed = summary["changed_company"]
            click.echo(f"{changed:,} of {_counted(summary['faces_before'], 'earlier face')} changed company")
        if summary.get("faces_unusable"):
            unusable = _counted(summary["faces_unusable"], "face")
            click.echo(f"{unusable} left out: damaged embeddings; `facepipe extract --redo` makes them anew")
    if "duplicate_groups" in summary:
        click.echo(f"{_counted(summary['duplicate_groups'], 'group')} of copies")
    for name, step in summary["stages"].items():
        click.echo(f"{name:>8}: {step['seconds']:.1f} s, {step['rows']:,} rows")
    if summary["report"]:
        click.echo(f"Report: {summary['report']}")


def print_preview(counts: Mapping[str, int | bool]) -> None:
    """Print what a run would find to do."""
    parts = [f"{counts['photos_new']:,} new", f"{counts['photos_skipped']:,} known", *_videos(counts)]
    click.echo(f"{_counted(counts['photos_seen'], 'photo')} seen: {', '.join(parts)}")
    click.echo(f"{_counted(counts['photos_pending'], 'photo')} of earlier runs left to extract")
    click.echo("Nothing was done: leave --dry-run out to do it.")


def print_people(library: Library) -> None:
    """Print the people with most photos."""
    people = library.read("people").sort_by([("photos", "descending"), ("person_id", "ascending")])
    if len(people) == 0:
        return
    rows = (
        (person["person_id"][:8], person["name"] or "-", f"{person['photos']:,}", f"{person['faces']:,}")
        for person in people.slice(0, PEOPLE_SHOWN).to_pylist()
    )
    print_table(("person", "name"), ("photos", "faces"), rows)
    if len(people) > PEOPLE_SHOWN:
        click.echo(f"… and {len(people) - PEOPLE_SHOWN:,} more people")


def print_table(left: Iterable[str], right: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table; the columns named first are aligned to the left, all others to the right."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)


def _videos(counts: Mapping[str, Any]) -> list[str]:
    videos = counts.get("videos_skipped", 0)
    return [f"{_counted(videos, 'video')} skipped"] if videos else []


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
