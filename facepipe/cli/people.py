"""`people`: who is who, and what a person decides about it, kept for good."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facepipe.cli.options import NEW_FILE, common_options, library_option, print_json
from facepipe.cli.printing import print_table

if TYPE_CHECKING:
    from facepipe.library.decisions import Decision
    from facepipe.library.library import Library

Command = Callable[..., Any]

FACES_SHOWN = 40
person_argument = click.argument("person", metavar="P")
faces_argument = click.argument("faces", nargs=-1, required=True, metavar="FACE…")


@click.group()
def people() -> None:
    """Show people, name them, and put right what the grouping got wrong.

    P is a person's id, the beginning of one, or an exact name; FACE is a face's id, or a short one as `people show`
    prints it. Every decision is kept and binds all later groupings.
    """


@people.command("list")
@click.option("--all", "everyone", is_flag=True, help="Show hidden people too.")
@library_option
@common_options
def list_people(library: str, everyone: bool, as_json: bool, **_settings: Any) -> None:
    """Show everybody, those with most photos first."""
    import pyarrow.compute as pc

    rows = _open(library).read("people")
    if not everyone:
        rows = rows.filter(pc.invert(rows["hidden"]))
    found = rows.sort_by([("photos", "descending"), ("person_id", "ascending")]).to_pylist()
    if as_json:
        print_json({"people": found})
        return
    if not found:
        click.echo("There are no people yet: `facepipe run SOURCE --library DIR` finds them.")
        return
    print_table(
        ("person", "name", "first", "last"),
        ("photos", "faces"),
        (
            (
                _short(row["person_id"]),
                row["name"] or "-",
                _day(row["first_taken_at"]),
                _day(row["last_taken_at"]),
                f"{row['photos']:,}",
                f"{row['faces']:,}",
            )
            for row in found
        ),
    )


@people.command()
@person_argument
@click.option(
    "--sheet",
    type=NEW_FILE,
    metavar="PNG",
    help="Draw the person's faces into a picture, the surest first.",
)
@library_option
@common_options
def show(person: str, sheet: Path | None, library: str, as_json: bool, **_settings: Any) -> None:
    """Show a person's faces and photos, the surest first."""
    import pyarrow.compute as pc

    from facepipe.library.lookup import find_person, short_face_id

    opened = _open(library)
    everyone = opened.read("people")
    person_id = find_person(everyone, person)
    (row,) = everyone.filter(pc.equal(everyone["person_id"], person_id)).to_pylist()
    faces = _faces_of(opened, person_id)
    if sheet is not None:
        _draw_sheet(opened, faces, row, sheet)
    if as_json:
        print_json({**row, "face_list": faces, "sheet": str(sheet) if sheet else None})
        return
    click.echo(f"{row['name'] or 'no name'} {person_id}{' (hidden)' if row['hidden'] else ''}")
    click.echo(
        f"{row['faces']:,} faces on {row['photos']:,} photos, {_day(row['first_taken_at'])} to "
        f"{_day(row['last_taken_at'])}"
    )
    print_table(
        ("face", "by", "file"),
        ("sure",),
        (
            (
                short_face_id(face["face_id"]),
                face["origin"],
                face["uri"] or "-",
                f"{face['probability']:.2f}",
            )
            for face in faces[:FACES_SHOWN]
        ),
    )
    if len(faces) > FACES_SHOWN:
        click.echo(f"… and {len(faces) - FACES_SHOWN:,} more faces; --json shows all")
    if sheet:
        click.echo(f"Sheet: {sheet}")


@people.command()
@person_argument
@click.argument("name")
@library_option
@common_options
def name(person: str, name: str, **options: Any) -> None:
    """Give a person a name; "" takes it away."""
    _decide(options, "name_person", person, name)


@people.command()
@click.argument("persons", nargs=-1, required=True, metavar="P P…")
@library_option
@common_options
def merge(persons: tuple[str, ...], **options: Any) -> None:
    """Make people one: the first goes on, with its name or else another's."""
    _decide(options, "merge_people", persons)


@people.command()
@person_argument
@faces_argument
@library_option
@common_options
def split(person: str, faces: tuple[str, ...], **options: Any) -> None:
    """Make some of a person's faces a person of their own."""
    _decide(options, "split_person", person, faces)


@people.command()
@person_argument
@click.argument("faces", nargs=-1, metavar="[FACE…]")
@library_option
@common_options
def confirm(person: str, faces: tuple[str, ...], **options: Any) -> None:
    """Say that faces are this person, whatever they were; without faces: all that the person has."""
    _decide(options, "confirm_faces", person, faces)


@people.command()
@person_argument
@faces_argument
@library_option
@common_options
def reject(person: str, faces: tuple[str, ...], **options: Any) -> None:
    """Say that faces are not this person."""
    _decide(options, "reject_faces", person, faces)


@people.command()
@person_argument
@click.option("--undo", is_flag=True, help="Show the person again.")
@library_option
@common_options
def hide(person: str, undo: bool, **options: Any) -> None:
    """Leave a person out of the report and of `people list`."""
    _decide(options, "hide_person", person, undo)


@people.command("not-a-face")
@faces_argument
@library_option
@common_options
def not_a_face(faces: tuple[str, ...], **options: Any) -> None:
    """Say that what was found is no face: it is nobody, for good."""
    _decide(options, "deny_faces", faces)


@people.command()
@library_option
@common_options
def history(library: str, as_json: bool, **_settings: Any) -> None:
    """Show all decisions, the newest last."""
    from facepipe.library.decisions import from_rows

    found = from_rows(_open(library).read("decisions"))
    if as_json:
        print_json({"decisions": [decision._asdict() for decision in found]})
        return
    if not found:
        click.echo("Nothing has been decided yet.")
        return
    print_table(
        ("decision", "at (UTC)", "kind", "people", "name"),
        ("faces",),
        (
            (
                _short(decision.decision_id),
                f"{decision.at:%Y-%m-%d %H:%M:%S}",
                decision.kind.replace("_", "-"),
                ", ".join(map(_short, decision.person_ids)) or "-",
                decision.name or "-",
                f"{len(decision.face_ids):,}",
            )
            for decision in found
        ),
    )


@people.command()
@click.argument("run", metavar="RUN")
@library_option
@common_options
def rollback(run: str, **options: Any) -> None:
    """Return to who was who at the end of a run. RUN is an id of `runs list`, or the beginning of one.

    What was decided since then holds no more; the return is itself a decision, and can be taken back like any other.
    """
    _decide(options, "roll_back", run)


def _decide(options: Mapping[str, Any], wording: str, *said: Any) -> None:
    """Make what was said a decision, by a function of `stages.new_decisions`, carry it out and say what changed."""
    from facepipe import pipeline
    from facepipe.runtime.engine import create_engine
    from facepipe.runtime.interruption import ending_cleanly
    from facepipe.stages import new_decisions

    library = _open(options["library"])
    decision: Decision = getattr(new_decisions, wording)(library, *said)
    command = f"people {decision.kind.replace('_', '-')}"
    with (
        ending_cleanly(),
        closing(create_engine("local", None)) as engine,
        pipeline.open_job(library, engine, options["config"], command) as job,
    ):
        pipeline.decide(job, decision)
    outcome = {
        "decision_id": decision.decision_id,
        "kind": decision.kind,
        "person_ids": list(decision.person_ids),
        "face_ids": list(decision.face_ids),
        "run_id": job.record.run_id,
        **job.record.counts,
    }
    if options["as_json"]:
        print_json(outcome)
        return
    moved = outcome["changed_company"]
    click.echo(
        f"Done: {moved:,} face{'' if moved == 1 else 's'} changed company. The report shows it after `facepipe report`."
    )
    if decision.kind == "split":
        click.echo(f"The new person is {_short(decision.person_ids[-1])}.")


def _faces_of(library: "Library", person_id: str) -> list[dict[str, Any]]:
    """Return a person's faces with a file that shows each, the surest first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    assigned = library.read("assignments", where=pc.field("person_id") == person_id)
    files = library.read("files", ["photo_id", "uri"]).sort_by("uri")
    first = files.group_by("photo_id", use_threads=False).aggregate([("uri", "first")])
    photo_ids = pa.array([face.rpartition("-")[0] for face in assigned["face_id"].to_pylist()], pa.string())
    uris = pc.take(first["uri_first"], pc.index_in(photo_ids, value_set=first["photo_id"].combine_chunks()))
    rows = assigned.append_column("uri", uris).drop_columns("person_id")
    found: list[dict[str, Any]] = rows.sort_by([("probability", "descending"), ("face_id", "ascending")]).to_pylist()
    return found


def _draw_sheet(library: "Library", faces: list[dict[str, Any]], person: Mapping[str, Any], file: Path) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    from facepipe.library.lookup import short_face_id
    from facepipe.report.contact_sheet import SheetFace, draw_contact_sheet, save_picture

    wanted = pa.array([face["face_id"] for face in faces], pa.string())
    rows = library.read("faces", ["face_id", "crop"], pc.field("face_id").isin(wanted))
    crops = dict(zip(rows["face_id"].to_pylist(), rows["crop"].to_pylist(), strict=True))
    drawn = [
        SheetFace(crops.get(face["face_id"]), f"{short_face_id(face['face_id'])}  {face['probability']:.2f}")
        for face in faces
    ]
    title = f"{person['name'] or _short(person['person_id'])}: {person['faces']:,} faces on {person['photos']:,} photos"
    save_picture(draw_contact_sheet(drawn, title), file)


def _open(location: str) -> "Library":
    from facepipe.library.library import Library

    return Library.open(location)


def _short(identifier: str) -> str:
    return identifier[:8]


def _day(moment: Any) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "-"
