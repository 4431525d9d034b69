"""`bench`: speed beside peers, measured in turns in one call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from facepipe.cli.options import FOLDER, common_options, model_options, print_json
from facepipe.config import Config
from facepipe.errors import WrongUsageError

Command = Callable[..., Any]


def bench_options(command: Command) -> Command:
    """Add what every benchmark takes: photos, how many, how often, with or without peers, beside the common options."""
    command = click.option("--no-peers", is_flag=True, help="Measure this project alone.")(command)
    command = click.option(
        "--rounds", type=click.IntRange(1), default=5, show_default=True, help="Turns; the median counts."
    )(command)
    command = click.option("--limit", type=click.IntRange(1), metavar="N", help="Photos, evenly spaced in the folder.")(
        command
    )
    command = click.option(
        "--images",
        type=FOLDER,
        metavar="DIR",
        help="Photos (default: labelled ones in FACEPIPE_DATA).",
    )(command)
    return common_options(command)


@click.group()
def bench() -> None:
    """Measure speed beside other projects: everyone does the same work, in turns, with equal threads and settings."""


@bench.command()
@bench_options
def embed(**options: Any) -> None:
    """Faces/s of the embedder beside facenet-pytorch's, same weights."""
    from facepipe.benchmarks import compare

    _show(compare.compare_embedding(*_common(options)), options["as_json"])


@bench.command()
@bench_options
def detect(**options: Any) -> None:
    """Photos/s of the detector beside facenet-pytorch's MTCNN, same weights and thresholds."""
    from facepipe.benchmarks import compare

    _show(compare.compare_detection(*_common(options)), options["as_json"])


@bench.command()
@click.option("--engine", type=click.Choice(["ray", "local"]), default="ray", show_default=True)
@click.option("--megapixels", type=click.FloatRange(0.1, 200), help="Enlarge the photos to so many megapixels first.")
@model_options
@bench_options
def extract(engine: Any, megapixels: float | None, **options: Any) -> None:
    """Photos/s of `extract`, models loaded, beside its bare stages and others' plain loops."""
    from facepipe.benchmarks import compare

    _show(compare.compare_extraction(*_common(options), engine, megapixels), options["as_json"])


@bench.command()
@click.option("--megapixels", type=click.FloatRange(0.1, 200), default=24, show_default=True)
@bench_options
def decode(megapixels: float, **options: Any) -> None:
    """Photos/s of decoding large JPEGs beside libjpeg-turbo at a reduced scale."""
    from facepipe.benchmarks import compare

    _show(compare.compare_decoding(*_common(options), megapixels), options["as_json"])


@bench.command()
@click.option("--faces", type=click.IntRange(100), default=50_000, show_default=True, help="In the library.")
@click.option("--distractors", type=click.FloatRange(0, 0.9), default=0.3, show_default=True, help="Share seen once.")
@click.option("--peers", is_flag=True, help="Let all others group it too; slow beyond some 10,000 faces.")
@click.option("--peer", "chosen", multiple=True, metavar="NAME", help="Let this one group it too; may be repeated.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the library.")
@common_options
def grouping(
    faces: int, distractors: float, peers: bool, chosen: tuple[str, ...], seed: int, config: Config, as_json: bool
) -> None:
    """Seconds and memory from embeddings to people, on a library that is made: people of all sizes and passers-by."""
    from facepipe.benchmarks.grouping import bench_grouping
    from facepipe.evaluation.grouping_peers import PEERS
    from facepipe.evaluation.made_library import LibraryPlan

    for name in chosen:
        if name not in PEERS:
            raise WrongUsageError(f"there is no peer {name!r}: there are {', '.join(PEERS)}")
    names = list(PEERS) if peers else list(dict.fromkeys(chosen))
    figures = bench_grouping(LibraryPlan(faces, distractors=distractors), seed, names, config)
    if as_json:
        print_json(figures)
        return
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in figures["seconds"].items() if name != "total")
    click.echo(f"{'facepipe':18}{_grouped_text(figures, figures['seconds']['total'])} ({parts})")
    for name, peer in figures["peers"].items():
        text = peer.get("reason") or f"{_grouped_text(peer, peer['seconds'])}, {peer['ratio']:.1f} times ours"
        click.echo(f"{name:18}{text}")
    click.echo(f"recall of the search {figures['recall']:.4f}; largest impure person {figures['largest_impure']} faces")


def _grouped_text(figures: dict[str, Any], seconds: float) -> str:
    """Return how well and how fast somebody grouped."""
    return (
        f"BCubed F {figures['bcubed']['f']:.4f}, pairwise F {figures['pairwise']['f']:.4f}, {seconds:,.1f} s, "
        f"{figures['peak_memory_bytes'] / 1e6:,.0f} MB"
    )


def _common(options: dict[str, Any]) -> tuple[Path | None, int | None, int, Any, bool]:
    return options["images"], options["limit"], options["rounds"], options["config"], not options["no_peers"]


def _show(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(figures)
        return
    unit = figures["unit"]
    click.echo(f"{'facepipe':24} {figures['ours']:8.1f} {unit}")
    for name, rate in figures["peers"].items():
        click.echo(f"{name:24} {rate:8.1f} {unit}, facepipe is {figures['ratio'][name]:.2f} times as fast")
    click.echo(
        f"median of {figures['rounds']} rounds, {figures['items']} photos, {figures['threads']} threads, "
        f"{figures['peak_memory_bytes'] / 1e6:,.0f} MB of memory at most"
    )
