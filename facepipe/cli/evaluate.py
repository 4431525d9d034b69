"""`eval`: the field's protocols on labelled photos."""

from pathlib import Path
from typing import Any

import click

from facepipe.cli.options import (
    FILE,
    FOLDER,
    NEW_FOLDER,
    computing_options,
    detector_option,
    model_options,
    print_json,
)
from facepipe.cli.pictures import plot_option
from facepipe.config import DETECTORS, EMBEDDERS, METRICS, MetricName
from facepipe.errors import WrongUsageError

images_option = click.option("--images", required=True, type=FOLDER, metavar="DIR")


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
    _show(figures, options["as_json"])


@evaluate.command()
@images_option
@click.option("--boxes", required=True, type=FILE, metavar="CSV")
@detector_option
@computing_options
def detection(images: Path, boxes: Path, **options: Any) -> None:
    """Average precision of the detector (IoU 0.5) on faces at least 20, 40 and 60 pixels high."""
    from facepipe import evaluations

    _show(evaluations.evaluate_detection(images, boxes, options["config"], _engine(options)), options["as_json"])


@evaluate.command()
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
@click.option(
    "--out",
    required=True,
    type=NEW_FOLDER,
    metavar="DIR",
    help="For the trainings; what is finished there is not done again.",
)
@click.option("--detector", "names", multiple=True, type=click.Choice(DETECTORS), help="Train this one (default: all).")
@click.option("--effort", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option(
    "--share",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=1.0,
    show_default=True,
    help="Of each half that is learned from, for a learning curve.",
)
@click.option("--tuning", is_flag=True, help="Fine-tune MTCNN's published weights on photos made worse, instead.")
@click.option("--peers", is_flag=True, help="Beside dlib's frontal detector and OpenCV's Haar cascade.")
@computing_options
def detectors(names: tuple[str, ...], tuning: bool, **options: Any) -> None:
    """Train detectors on each half of labelled photos and judge them on the other: upright, turned, covered, worse.

    Takes most of an hour a detector on two cores, and with --tuning as long in all.
    """
    from facepipe.cli.detector_table import print_detector_tables
    from facepipe.cli.train_detectors import read_sources
    from facepipe.cli.training_options import open_fit
    from facepipe.detector_study import study_detectors, study_tuning

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
            _show(study_tuning(*common, **extent), options["as_json"])
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
    from facepipe.detector_study import FOLDS, Contestant

    require("dlib")
    made: dict[str, Any] = {"dlib's HOG": DlibHog(), "Haar cascade": HaarCascade()}
    return [Contestant(name, dict.fromkeys(FOLDS, detector)) for name, detector in made.items()]


@evaluate.command()
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
@click.option(
    "--out",
    required=True,
    type=NEW_FOLDER,
    metavar="DIR",
    help="For faces and trainings; what is finished there is not done again.",
)
@click.option("--fold", "folds", multiple=True, type=click.IntRange(1), help="Judge on this one (default: all).")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Trainings without the first fold, for the spread.",
)
@click.option("--effort", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option(
    "--share",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=1.0,
    show_default=True,
    help="Of the people who are learned from, for a learning curve.",
)
@computing_options
def recogniser(name: str, folds: tuple[int, ...], seeds: int, **options: Any) -> None:
    """Train a recogniser without each fold's people and judge it on that fold's pairs, beside what it must beat.

    Takes an hour or two a fold on two cores.
    """
    from facepipe.cli.recogniser_table import print_recogniser_table
    from facepipe.cli.training_options import open_fit
    from facepipe.recogniser_study.study import study_recogniser

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
            lambda: _engine(options),
            effort=options["effort"],
            share=options["share"],
        )
    if options["as_json"]:
        print_json(figures)
    else:
        print_recogniser_table(figures)


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

    _show(evaluations.evaluate_clustering(images, options["config"], _engine(options)), options["as_json"])


@evaluate.command("made-library")
@images_option
@click.option("--libraries", type=click.IntRange(1), default=5, show_default=True, help="How many are made.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first; the next ones follow.")
@computing_options
def made_library(images: Path, libraries: int, seed: int, **options: Any) -> None:
    """Whether methods of grouping do as well on made libraries as on photos (DIR: a folder a person) of equal sizes.

    Takes about two minutes a library of 4,000 faces.
    """
    from facepipe.fidelity_study import study_fidelity

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
    from facepipe.quality_study import evaluate_quality

    judged = load_quality(parameters or SHIPPED)
    figures = evaluate_quality(images, pairs, judged, options["config"], _engine(options), seed)
    _show(figures, options["as_json"])


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
    _show(figures, options["as_json"])


def _compare_grouping(images: Path, plot: Path | None, options: dict[str, Any]) -> None:
    from facepipe.cli.grouping_picture import draw_picture
    from facepipe.cli.grouping_table import print_grouping_table
    from facepipe.grouping_study import study_grouping

    study = study_grouping(images, options["config"], _engine(options), with_all=plot is not None)
    if plot:
        draw_picture(plot, study, options["config"].group.model_dump())
    if options["as_json"]:
        print_json(study.figures)
        return
    _show({name: value for name, value in study.figures.items() if name not in ("ours_tuned", "peers")}, False)
    print_grouping_table(study.figures)


def _engine(options: dict[str, Any]) -> Any:
    from facepipe.runtime.engine import create_engine

    return create_engine(options["engine"], options["address"])


def _show(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(figures)
        return
    for name, value in figures.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key}: {_rounded(item)}" for key, item in value.items())
        elif isinstance(value, list):
            text = ", ".join(str(_rounded(item)) for item in value)
        else:
            text = str(_rounded(value))
        click.echo(f"{name:20} {text}")


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
