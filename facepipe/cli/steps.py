"""`run` and its five steps."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

import click

from facepipe.cli.options import (
    computing_options,
    library_option,
    model_options,
    parse_max_failed,
    print_json,
)
from facepipe.errors import NONE_MAY_FAIL, MaxFailed

Command = Callable[..., Any]
MANY_FAILED = 3

sources_argument = click.argument("sources", nargs=-1, required=True, metavar="SOURCE…")


def selection_options(command: Command) -> Command:
    """Add `--include`, `--exclude`, `--pack` and `--dry-run`."""
    command = click.option("--dry-run", is_flag=True, help="Say what is new and do nothing.")(command)
    command = click.option("--pack", is_flag=True, help="Copy the bytes of new photos into the library.")(command)
    command = click.option("--exclude", multiple=True, metavar="GLOB", help="Leave these out.")(command)
    return click.option(
        "--include",
        multiple=True,
        metavar="GLOB",
        help="Take only these: *.jpg at any depth, or a path below the source such as 2019/**.",
    )(command)


def limit_option(command: Command) -> Command:
    """Add `--limit`."""
    return click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help="Do N new photos at most; the next run goes on."
    )(command)


def failure_options(command: Command) -> Command:
    """Add `--max-failed` and `--retry-failed`."""
    command = click.option("--retry-failed", is_flag=True, help="Try files again that failed before.")(command)
    return click.option(
        "--max-failed",
        callback=parse_max_failed,
        default="0",
        metavar="N|P%",
        show_default=True,
        help="Exit with 3 when more photos fail: a number, or a share such as 1%.",
    )(command)


@click.command()
@sources_argument
@library_option
@selection_options
@limit_option
@failure_options
@model_options
@computing_options
def run(sources: tuple[str, ...], **options: Any) -> None:
    """Do all that is new: ingest, extract, dedup, group, report.

    A SOURCE is a folder (searched at every depth), a photo, a tar file of photos, or a Parquet file of photos.
    """
    carry_out("run", options, sources)


@click.command()
@sources_argument
@library_option
@selection_options
@limit_option
@failure_options
@computing_options
def ingest(sources: tuple[str, ...], **options: Any) -> None:
    """List the sources' photos and identify their contents."""
    carry_out("ingest", options, sources)


@click.command()
@click.option("--redo", is_flag=True, help="Extract all photos anew, also with the same models and settings.")
@library_option
@limit_option
@failure_options
@model_options
@computing_options
def extract(redo: bool, **options: Any) -> None:
    """Find, align and embed the faces of all pending photos.

    With --redo, of all photos: after a change of models or settings, or where embeddings are damaged. The old faces
    serve until the new ones are complete and take their place all at once; one that is interrupted goes on where it
    stopped. What is known and decided of a face goes on with the face that is found at its place (IoU of at least
    0.5), others are listed. A photo that can't be read any more keeps its old faces, unless these come from another
    embedder: then nothing is replaced while more photos than --max-failed would lose theirs.
    """
    carry_out("extract --redo" if redo else "extract", options)


@click.command()
@library_option
@computing_options
def dedup(**options: Any) -> None:
    """Find files that hold the same photo."""
    carry_out("dedup", options)


@click.command()
@click.option("--incremental", is_flag=True, help="Only let new faces join people or make new ones; nobody else moves.")
@click.option("--explain", metavar="FACE", help="Say why a face is whose it is, and change nothing.")
@library_option
@computing_options
def group(explain: str | None, **options: Any) -> None:
    """Group all faces into people."""
    if explain is None:
        carry_out("group", options)
    else:
        explain_face(explain, options)


def explain_face(face: str, options: Mapping[str, Any]) -> None:
    """Print why a face of a library is whose it is.

    Args:
        face: its id, or a short one.
        options: of the command line, by parameter name.
    """
    from facepipe import pipeline
    from facepipe.cli.tables import print_explanation
    from facepipe.library.library import Library

    explained = pipeline.explain(Library.open(options["library"]), face, options["config"])
    if options["as_json"]:
        print_json(explained)
    else:
        print_explanation(explained)


@click.command()
@library_option
@computing_options
def report(**options: Any) -> None:
    """Write the library's people as web pages."""
    carry_out("report", options)


def carry_out(command: str, options: Mapping[str, Any], sources: Sequence[str] | None = None) -> None:
    """Carry out a command on a library, print its figures and exit as `--max-failed` says.

    Args:
        command: run, ingest, extract, dedup, group or report, a function of `pipeline`; or `extract --redo`.
        options: of the command line, by parameter name.
        sources: for those that have any; a library is created for these.
    """
    from facepipe import pipeline
    from facepipe.library.library import Library
    from facepipe.redo import redo
    from facepipe.runtime.engine import create_engine
    from facepipe.runtime.interruption import ending_cleanly
    from facepipe.sources.scan_sources import resolve_sources

    resolve_sources(sources or [])  # before a library is made for a source that isn't there
    location = options["library"]
    choice = _choice(options)
    if options.get("dry_run"):
        _show_preview(pipeline.preview(location, sources or [], choice), options["as_json"])
        return
    library = Library.open(location) if sources is None else Library.create_or_open(location)
    with (
        ending_cleanly(),
        closing(create_engine(options["engine"], options["address"])) as engine,
        pipeline.open_job(library, engine, options["config"], command, choice) as job,
    ):
        step: Command = redo if command == "extract --redo" else getattr(pipeline, command)
        step(job) if sources is None else step(job, sources)
    _finish(job.record, library, options)


def _choice(options: Mapping[str, Any]) -> Any:
    from facepipe.pipeline import Choice
    from facepipe.sources.selection import Selection

    return Choice(
        Selection(options.get("include", ()), options.get("exclude", ())),
        options.get("limit"),
        options.get("retry_failed", False),
        options.get("pack", False),
        options.get("incremental", False),
        options.get("max_failed") or NONE_MAY_FAIL,
    )


def _show_preview(counts: Mapping[str, int | bool], as_json: bool) -> None:
    from facepipe.cli.tables import print_preview

    if as_json:
        print_json(counts)
    else:
        print_preview(counts)


def _finish(record: Any, library: Any, options: Mapping[str, Any]) -> None:
    from facepipe.cli.tables import print_summary

    summary = record.summary()
    if options["as_json"]:
        print_json(summary)
    else:
        print_summary(summary, library)
    if record.refusal:
        click.echo(f"facepipe: {record.refusal}", err=True)
        sys.exit(MANY_FAILED)
    limit: MaxFailed | None = options.get("max_failed")
    failed, tried = summary["photos_failed"], record.photos_tried
    if limit is not None and limit.exceeded(failed, tried):
        click.echo(f"facepipe: {failed} of {tried} photos failed; see the report or the table `errors`", err=True)
        sys.exit(MANY_FAILED)
