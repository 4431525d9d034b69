"""`eval`: the field's protocols on labelled photos."""

from pathlib import Path
from typing import Any

import click

from facepipe.cli.evaluate_trainings import detectors, images_option, recogniser
from facepipe.cli.options import (
    FILE,
    FOLDER,
    computing_options,
    detector_option,
    model_options,
    print_json,
)
from facepipe.cli.pictures import plot_option
from facepipe.cli.printing import show_figures
from facepipe.config import METRICS, MetricName
from facepipe.errors import WrongUsageError


@click.group("eval")
def evaluate() -> None:
    """Measure accuracy on labelled photos."""


@evaluate.command()
@images_option
@click.option("--pairs", required=True, type=FILE, metavar="FILE")
@click.option(
    "--metric",
    type=click.Choice(METRICS),
    default="cosine",
    show_default=True,
    help="What compares two faces; chi2 and siamese learn weights on the other folds.",
)
@model_options
@computing_options
def lfw(images: Path, pairs: Path, metric: MetricName, **options: Any) -> None:
    """Verification on LFW's View 2: same person or not, the threshold chosen on the other folds."""
    from facepipe import evaluations

    figures = evaluations.evaluate_lfw(images, pairs, options["config"], _engine(options), metric)
    show_figures(figures, options["as_json"])


@evaluate.command()
@images_option
@click.option("--boxes", required=True, type=FILE, metavar="CSV")
@detector_option
@computing_options
def detection(images: Path, boxes: Path, **options: Any) -> None:
    """Average precision of the detector (IoU 0.5) on faces at least 20, 40 and 60 pixels high."""
    from facepipe import evaluations

    show_figures(evaluations.evaluate_detection(images, boxes, options["config"], _engine(options)), options["as_json"])


@evaluate.command()
@images_option
@click.option(
    "--peers",
    is_flag=True,
    help="Beside other methods, each tuned on half of the people and judged on the other half: takes some minutes.",
)
@plot_option("Draw what --peers measures, with every setting on all faces")
@model_options
@computing_options
def clustering(images: Path, peers: bool, plot: Path | None, **options: Any) -> None:
    """Grouping of the central face of each photo, against the folder that the photo lies in."""
    if plot and not peers:
        raise WrongUsageError("--plot draws what --peers measures: say --peers, too")
    if peers:
        _compare_grouping(images, plot, options)
        return
    from facepipe import evaluations

    show_figures(evaluations.evaluate_clustering(images, options["config"], _engine(options)), options["as_json"])


@evaluate.command("made-library")
@images_option
@click.option("--libraries", type=click.IntRange(1), default=5, show_default=True, help="How many are made.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first; the next ones follow.")
@computing_options
def made_library(images: Path, libraries: int, seed: int, **options: Any) -> None:
    """Whether methods of grouping do as well on made libraries as on photos (DIR: a folder a person) of equal sizes.

    Takes about two minutes a library of 4,000 faces.
    """
    from facepipe.studies.fidelity import study_fidelity

    figures = study_fidelity(images, libraries, seed, options["config"], _engine(options))
    if options["as_json"]:
        print_json(figures)
        return
    click.echo(f"{'':20}{'BCubed F':^27}{'pairwise F':^27}")
    click.echo(f"{'method':20}" + f"{'real':>8}{'made':>8}{'':11}" * 2)
    for name, method in figures["methods"].items():
        texts = [
            f"{method['real'][kind]:8.3f}{method['made'][kind]:8.3f} ± {method['deviation'][kind]:.3f}   "
            for kind in ("bcubed", "pairwise")
        ]
        click.echo(f"{name:20}{''.join(texts)}")
    click.echo(
        f"{figures['faces']:,} faces of {figures['people']:,} people, {figures['libraries']} made libraries; "
        f"greatest difference of the peers {figures['greatest_difference']:.3f}"
    )


@evaluate.command()
@images_option
@click.option("--pairs", required=True, type=FILE, metavar="FILE")
@click.option(
    "--parameters",
    type=FILE,
    metavar="FILE",
    help="Written by `facepipe models quality`.  [default: those that ship]",
)
@click.option("--seed", default=0, show_default=True, help="Of what is done to the photos.")
@computing_options
def quality(images: Path, pairs: Path, parameters: Path | None, seed: int, **options: Any) -> None:
    """How well `quality` foretells what faces still match once their photos are made worse."""
    from facepipe.models.face_quality import SHIPPED, load_quality
    from facepipe.studies.quality import evaluate_quality

    judged = load_quality(parameters or SHIPPED)
    figures = evaluate_quality(images, pairs, judged, options["config"], _engine(options), seed)
    show_figures(figures, options["as_json"])


@evaluate.command()
@click.option(
    "--images",
    required=True,
    multiple=True,
    type=FOLDER,
    metavar="DIR",
    help="Photos; may be repeated.",
)
@click.option("--photos", type=click.IntRange(min=1), metavar="N", help="Take N of them, at random (default: all).")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn at random.")
@computing_options
def dedup(images: tuple[Path, ...], photos: int | None, seed: int, **options: Any) -> None:
    """Copies made of photos: resized, compressed again, in other formats, with other metadata, and combined."""
    from facepipe import evaluations

    figures = evaluations.evaluate_dedup(images, photos, seed, options["config"], _engine(options))
    show_figures(figures, options["as_json"])


def _compare_grouping(images: Path, plot: Path | None, options: dict[str, Any]) -> None:
    from facepipe.cli.grouping_picture import draw_picture
    from facepipe.cli.grouping_table import print_grouping_table
    from facepipe.studies.grouping import study_grouping

    study = study_grouping(images, options["config"], _engine(options), with_all=plot is not None)
    if plot:
        draw_picture(plot, study, options["config"].group.model_dump())
    if options["as_json"]:
        print_json(study.figures)
        return
    show_figures({name: value for name, value in study.figures.items() if name not in ("ours_tuned", "peers")}, False)
    print_grouping_table(study.figures)


def _engine(options: dict[str, Any]) -> Any:
    from facepipe.runtime.engine import create_engine

    return create_engine(options["engine"], options["address"])


for command in (detectors, recogniser):
    evaluate.add_command(command)
