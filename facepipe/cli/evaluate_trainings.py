"""`eval detectors|recogniser`: what is trained on some labelled photos is judged on others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from facepipe.cli.options import FILE, FOLDER, NEW_FOLDER, computing_options, print_json, with_options
from facepipe.cli.printing import show_figures
from facepipe.config import DETECTORS, EMBEDDERS
from facepipe.errors import WrongUsageError

Command = Callable[..., Any]

images_option = click.option("--images", required=True, type=FOLDER, metavar="DIR")


def study_options(command: Command) -> Command:
    """Add what every study takes: where its trainings lie, how long they learn, and from how much."""
    add = with_options(
        click.option(
            "--out",
            required=True,
            type=NEW_FOLDER,
            metavar="DIR",
            help="For faces and trainings; what is finished there is not done again.",
        ),
        click.option("--effort", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True),
        click.option(
            "--share",
            type=click.FloatRange(min=0, max=1, min_open=True),
            default=1.0,
            show_default=True,
            help="Of what is learned from, photos or people, for a learning curve.",
        ),
    )
    return add(computing_options(command))


@click.command()
@images_option
@click.option("--boxes", required=True, type=FILE, metavar="CSV")
@click.option(
    "--other-images",
    multiple=True,
    type=FOLDER,
    metavar="DIR",
    help="Photos that every training sees; may be repeated, each with --other-boxes and --other-landmarks.",
)
@click.option("--other-boxes", multiple=True, type=click.Path(exists=True, path_type=Path), metavar="CSV")
@click.option("--other-landmarks", multiple=True, type=click.Path(path_type=Path), metavar="CSV")
@click.option(
    "--unseen-images",
    type=FOLDER,
    metavar="DIR",
    help="Photos that no training sees, judged as well, with --unseen-boxes.",
)
@click.option("--unseen-boxes", type=FILE, metavar="CSV")
@click.option("--detector", "names", multiple=True, type=click.Choice(DETECTORS), help="Train this one (default: all).")
@click.option("--tuning", is_flag=True, help="Fine-tune MTCNN's published weights on photos made worse, instead.")
@click.option("--peers", is_flag=True, help="Beside dlib's frontal detector and OpenCV's Haar cascade.")
@study_options
def detectors(names: tuple[str, ...], tuning: bool, **options: Any) -> None:
    """Train detectors on each half of labelled photos and judge them on the other: upright, turned, covered, worse.

    Takes most of an hour a detector on two cores, and with --tuning as long in all.
    """
    from facepipe.cli.detector_table import print_detector_tables
    from facepipe.cli.train_detectors import read_sources
    from facepipe.cli.training_options import open_fit
    from facepipe.studies.detectors import study_detectors, study_tuning

    if (options["unseen_images"] is None) != (options["unseen_boxes"] is None):
        raise WrongUsageError("--unseen-images and --unseen-boxes go together: give both or neither")
    (photos,) = read_sources([options["images"]], [options["boxes"]], [])
    others = read_sources(options["other_images"], options["other_boxes"], options["other_landmarks"])
    unseen = None
    if options["unseen_images"]:
        (unseen,) = read_sources([options["unseen_images"]], [options["unseen_boxes"]], [])
    with open_fit(options["engine"], options["address"], workers=1) as fit:
        common = (photos, others, options["out"], fit, options["config"])
        extent = {"effort": options["effort"], "share": options["share"]}
        if tuning:
            show_figures(study_tuning(*common, **extent), options["as_json"])
            return
        peers = _peer_detectors() if options["peers"] else []
        figures = study_detectors(names or DETECTORS, *common, **extent, peers=peers, unseen=unseen)
    if options["as_json"]:
        print_json(figures)
    else:
        print_detector_tables(figures)


def _peer_detectors() -> list[Any]:
    from facepipe.benchmarks.peer_detectors import DlibHog, HaarCascade
    from facepipe.benchmarks.peers import require
    from facepipe.studies.detectors import FOLDS, Contestant

    require("dlib")
    made: dict[str, Any] = {"dlib's HOG": DlibHog(), "Haar cascade": HaarCascade()}
    return [Contestant(name, dict.fromkeys(FOLDS, detector)) for name, detector in made.items()]


@click.command()
@click.argument("name", type=click.Choice(EMBEDDERS))
@images_option
@click.option("--pairs", required=True, type=FILE, metavar="FILE")
@click.option(
    "--other-images",
    multiple=True,
    type=FOLDER,
    metavar="DIR",
    help="Photos of people in no pair, whom every training sees; may be repeated.",
)
@click.option("--fold", "folds", multiple=True, type=click.IntRange(1), help="Judge on this one (default: all).")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Trainings without the first fold, for the spread.",
)
@click.option("--only", multiple=True, metavar="WAY", help="Way of learning, such as 'scratch' (default: all).")
@study_options
def recogniser(name: str, folds: tuple[int, ...], seeds: int, only: tuple[str, ...], **options: Any) -> None:
    """Train a recogniser without each fold's people and judge it on that fold's pairs, beside what it must beat.

    Takes an hour or two a fold on two cores.
    """
    from facepipe.cli.recogniser_table import print_recogniser_table
    from facepipe.cli.training_options import open_fit
    from facepipe.runtime.engine import create_engine
    from facepipe.studies.recognisers.study import study_recogniser

    with open_fit(options["engine"], options["address"], workers=1) as fit:
        figures = study_recogniser(
            name,
            options["images"],
            options["pairs"],
            options["other_images"],
            options["out"],
            [fold - 1 for fold in folds],
            range(seeds),
            fit,
            options["config"],
            lambda: create_engine(options["engine"], options["address"]),
            effort=options["effort"],
            share=options["share"],
            only=only,
        )
    if options["as_json"]:
        print_json(figures)
    else:
        print_recogniser_table(figures)
