"""`run` and its five steps."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from facepipe.cli.options import (
    MaxFailed,
    computing_options,
    library_option,
    parse_max_failed,
    print_json,
)
from facepipe.config import Config

Command = Callable[..., Any]
MANY_FAILED = 3

sources_argument = click.argument("sources", nargs=-1, required=True, metavar="SOURCE…")


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


def model_options(command: Command) -> Command:
    """Add `--detector` and `--embedder`."""
    command = click.option("--embedder", type=click.Choice(["facenet"]), help="What turns faces into vectors.")(command)
    return click.option("--detector", type=click.Choice(["mtcnn"]), help="What finds faces.")(command)


@click.command()
@sources_argument
@library_option
@failure_options
@model_options
@computing_options
def run(sources: tuple[str, ...], max_failed: MaxFailed, **options: Any) -> None:
    """Do all that is new: ingest, extract, dedup, group, report.

    A SOURCE is a folder (searched at every depth) or a photo.
    """
    from facepipe import pipeline

    with _job("run", options) as job:
        pipeline.run(job, sources)
    _finish(job, options["as_json"], max_failed)


@click.command()
@sources_argument
@library_option
@failure_options
@computing_options
def ingest(sources: tuple[str, ...], max_failed: MaxFailed, **options: Any) -> None:
    """List the sources' photos and identify their contents."""
    from facepipe import pipeline

    with _job("ingest", options) as job:
        pipeline.ingest(job, sources)
    _finish(job, options["as_json"], max_failed)


@click.command()
@library_option
@failure_options
@model_options
@computing_options
def extract(max_failed: MaxFailed, **options: Any) -> None:
    """Find, align and embed the faces of all pending photos."""
    from facepipe import pipeline

    with _job("extract", options) as job:
        pipeline.extract(job)
    _finish(job, options["as_json"], max_failed)


@click.command()
@library_option
@computing_options
def dedup(**options: Any) -> None:
    """Find files that hold the same photo."""
    from facepipe import pipeline

    with _job("dedup", options) as job:
        pipeline.dedup(job)
    _finish(job, options["as_json"])


@click.command()
@library_option
@computing_options
def group(**options: Any) -> None:
    """Group all faces into people."""
    from facepipe import pipeline

    with _job("group", options) as job:
        pipeline.group(job)
    _finish(job, options["as_json"])


@click.command()
@library_option
@computing_options
def report(**options: Any) -> None:
    """Write the library's people as web pages."""
    from facepipe import pipeline

    with _job("report", options) as job:
        pipeline.report(job)
    _finish(job, options["as_json"])


@contextmanager
def _job(command: str, options: dict[str, Any]) -> Iterator[Any]:
    """Open the library and the engine for a block; close the engine whatever happens."""
    from facepipe import pipeline
    from facepipe.library.library import Library
    from facepipe.runtime.engine import create_engine

    config = _chosen_models(options["config"], options.get("detector"), options.get("embedder"))
    creates = command in ("run", "ingest")
    library = Library.create_or_open(options["library"]) if creates else Library.open(options["library"])
    engine = create_engine(options["engine"], options["address"])
    try:
        with pipeline.open_job(
            library, engine, config, command, retry_failed=options.get("retry_failed", False)
        ) as job:
            yield job
    finally:
        engine.close()


def _chosen_models(config: Config, detector: str | None, embedder: str | None) -> Config:
    detect = config.detect.model_copy(update={"detector": detector} if detector else {})
    embed = config.embed.model_copy(update={"embedder": embedder} if embedder else {})
    return config.model_copy(update={"detect": detect, "embed": embed})


def _finish(job: Any, as_json: bool, max_failed: MaxFailed | None = None) -> None:
    """Print the job's figures and exit with 3 where more photos failed than allowed."""
    from facepipe.cli.tables import print_summary

    summary = job.record.summary()
    if as_json:
        print_json(summary)
    else:
        print_summary(summary, job.library)
    failed, tried = summary["photos_failed"], job.record.photos_tried
    if max_failed is not None and max_failed.exceeded(failed, tried):
        click.echo(f"facepipe: {failed} of {tried} photos failed; see the report or the table `errors`", err=True)
        sys.exit(MANY_FAILED)
