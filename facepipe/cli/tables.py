"""What commands print for people: summaries and tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from facepipe.cli.printing import print_table
from facepipe.library.library import Library
from facepipe.library.lookup import short_face_id

PEOPLE_SHOWN = 20
ROWS_SHOWN = 20


def print_summary(summary: Mapping[str, Any], library: Library) -> None:
    """Print a run's figures, the largest people and the report's path."""
    seen = summary.get("photos_seen")
    if seen is not None:
        parts = [f"{summary['photos_new']:,} new", f"{summary['photos_skipped']:,} known"]
        parts += [f"{summary['photos_failed']:,} failed"] if summary["photos_failed"] else []
        parts += _videos(summary)
        click.echo(f"{_counted(seen, 'photo')} seen: {', '.join(parts)}")
    if "switched" in summary:
        print_redo(summary)
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


def print_redo(summary: Mapping[str, Any]) -> None:
    """Print how far an extraction of all photos anew has come, and what it could not carry over."""
    click.echo(f"{_counted(summary['photos_redone'], 'photo')} extracted anew, {summary['photos_left']:,} left")
    _print_some(("photo", "why it keeps its old faces or loses them"), summary["unread_photos"], ("uri", "message"))
    if summary["switched"]:
        parts = [f"{summary['faces_carried']:,} carried over", f"{summary['faces_new']:,} new"]
        click.echo(f"Faces: {', '.join(parts)}, {summary['faces_lost']:,} found no more")
        lost = [
            {**face, "face_id": short_face_id(face["face_id"]), "who": _person(face)} for face in summary["lost_faces"]
        ]
        _print_some(("face found no more", "who", "photo"), lost, ("face_id", "who", "uri"))
    else:
        click.echo("Nothing has been replaced yet: the old faces serve until all are there.")


def _print_some(titles: Sequence[str], rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
    """Print the first rows as a table, and how many more there are; nothing for none."""
    if rows:
        print_table(titles, (), (tuple(row[key] or "-" for key in keys) for row in rows[:ROWS_SHOWN]))
    if len(rows) > ROWS_SHOWN:
        click.echo(f"… and {len(rows) - ROWS_SHOWN:,} more; --json lists all")


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


def print_explanation(explained: Mapping[str, Any]) -> None:
    """Print why a face is whose it is."""
    who = _person(explained)
    sure = f", {explained['probability']:.2f} sure, by {explained['origin']}" if explained["person_id"] else ""
    click.echo(f"{explained['face_id']}\n{who}{sure}")
    if explained["person"]:
        click.echo(f"on average {explained['person']['distance']:.3f} from the person's other faces")
    if explained["joined_through"]:
        joined = explained["joined_through"]
        click.echo(f"came to others through {short_face_id(joined['face_id'])}, {joined['distance']:.3f} away")
    near = [("member", short_face_id(row["face_id"]), f"{row['distance']:.3f}") for row in explained["nearest_members"]]
    near += [("other person", _person(row), f"{row['distance']:.3f}") for row in explained["others"]]
    if near:
        print_table(("nearest", "who"), ("distance",), near)
    for sentence in explained["constraints"]:
        click.echo(f"- {sentence}")


def print_search(faces: Sequence[Mapping[str, Any]]) -> None:
    """Print who may be on a photo."""
    if not faces:
        click.echo("There is no face on this photo.")
        return
    rows: list[tuple[str, ...]] = []
    for face in faces:
        place = ", ".join(f"{side:.0f}" for side in face["box"])
        if not face["people"]:
            rows.append((place, "nobody is known yet", "-", "-", "-"))
        for number, person in enumerate(face["people"]):
            figures = (f"{person[name]:.3f}" for name in ("distance", "nearest_distance"))
            rows.append(("" if number else place, _person(person), *figures, f"{person['probability']:.2f}"))
    print_table(("face at x0, y0, x1, y1", "may be"), ("on average", "nearest", "sure"), rows)
    click.echo("Distances from a person's faces, 0 to 2: below 1 it is likely to be them.")


def _person(row: Mapping[str, Any]) -> str:
    if row["person_id"] is None:
        return "nobody"
    return f"{row['name'] or 'no name'} ({row['person_id'][:8]})"


def _videos(counts: Mapping[str, Any]) -> list[str]:
    videos = counts.get("videos_skipped", 0)
    return [f"{_counted(videos, 'video')} skipped"] if videos else []


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
