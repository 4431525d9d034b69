"""`train mtcnn|ddfd|faceness|hog|labels`: detectors learn from labelled photos, or from what another one finds."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from facepipe.cli.options import FILE, FOLDER, NEW_FILE, computing_options, detector_option, print_json, with_options
from facepipe.cli.training_options import open_fit, pace_options, weights_of
from facepipe.errors import WrongUsageError

Command = Callable[..., Any]


def training_options(command: Command) -> Command:
    """Add what every detector's training takes."""
    add = with_options(
        click.option(
            "--images",
            required=True,
            multiple=True,
            type=FOLDER,
            metavar="DIR",
            help="Photos; may be repeated, each with its --boxes.",
        ),
        click.option(
            "--boxes",
            required=True,
            multiple=True,
            type=FILE,
            metavar="CSV",
            help="Where faces are: columns image, x0, y0, x1, y1; perhaps face, ignore.",
        ),
        click.option(
            "--landmarks",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="CSV",
            help="Columns image, face, point, x, y: 5 points a face, or 68. Once for each --images, - for none.",
        ),
        click.option(
            "--turn",
            type=click.FloatRange(0, 180),
            default=None,
            metavar="DEGREES",
            help="Photos are turned by up to this, either way.",
        ),
        click.option("--worsen", type=click.FloatRange(0, 1), help="How often a degradation is laid on a photo."),
    )
    return add(pace_options(computing_options(command)))


@click.command()
@click.option("--init", metavar="MODEL|FILE", help="Weights to start from: a model's name or a safetensors file.")
@training_options
def mtcnn(init: str | None, **options: Any) -> None:
    """The cascade's three networks, one after the other, each on what those before it let through."""
    _train("mtcnn", options, init=None if init is None else weights_of(init))


@click.command()
@click.option(
    "--width",
    type=click.FloatRange(0, 4, min_open=True),
    default=0.25,
    show_default=True,
    help="Factor on AlexNet's channels.",
)
@click.option(
    "--crop",
    type=int,
    default=97,
    show_default=True,
    metavar="PIXELS",
    help="Side of its window: 97, 113, 129 … or from 195 on 195, 227, 259 …",
)
@click.option(
    "--init",
    metavar="MODEL|FILE|imagenet",
    help="Weights to start from: a model's name, a safetensors file, torchvision's AlexNet (imagenet, or a .pth file).",
)
@training_options
def ddfd(width: float, crop: int, init: str | None, **options: Any) -> None:
    """One AlexNet that finds faces of all poses, from crops that hold a face or none."""
    from facepipe.models.imagenet import NAME, read_imagenet

    if init is not None and (init == NAME or init.endswith(".pth")):
        weights: Any = read_imagenet(None if init == NAME else Path(init))
    else:
        weights = None if init is None else weights_of(init)
    _train("ddfd", options, width=width, crop=crop, init=weights)


@click.command()
@click.option(
    "--attributes",
    type=FILE,
    metavar="FILE",
    help="CelebA's list_attr_celeba.txt: parts of faces on photos that it names learn their attributes, too.",
)
@training_options
def faceness(attributes: Path | None, **options: Any) -> None:
    """A network for each part of a face, how parts are arranged, and a network that decides."""
    _train("faceness", options, attributes=None if attributes is None else str(attributes))


@click.command()
@click.option("--words", type=click.IntRange(2, 65_536), default=256, show_default=True, help="Of the codebook.")
@click.option("--cell", type=click.IntRange(2), default=5, show_default=True, metavar="PIXELS", help="Side of a cell.")
@click.option("--rounds", type=click.IntRange(0, 5), default=3, show_default=True, help="Of hard background.")
@training_options
def hog(words: int, cell: int, rounds: int, **options: Any) -> None:
    """A codebook of oriented gradients and a linear classifier of windows by their words; in this process, always."""
    if options["workers"] > 1:
        raise WrongUsageError("hog is trained in one process: leave out --workers")
    if options["plot"]:
        raise WrongUsageError("hog is trained without steps, so there are no curves to draw: leave out --plot")
    _train("hog", {**options, "engine": "local"}, words=words, cell=cell, rounds=rounds)


@click.command()
@click.option(
    "--images",
    required=True,
    type=FOLDER,
    metavar="DIR",
    help="Photos, at any depth.",
)
@click.option("--boxes", required=True, type=NEW_FILE, metavar="CSV")
@click.option("--landmarks", required=True, type=NEW_FILE, metavar="CSV")
@detector_option
@computing_options
def labels(images: Path, boxes: Path, landmarks: Path, **options: Any) -> None:
    """Write what a detector finds on photos as labels, to train another detector from (distillation).

    Weak detections are marked to be ignored. Lower thresholds leave less background that is none:
    --set detect.thresholds=0.5,0.6,0.1
    """
    from facepipe.labelling import label_photos, photo_names
    from facepipe.runtime.engine import create_engine

    engine = create_engine(options["engine"], options["address"])
    done = label_photos(images, photo_names(images), boxes, landmarks, options["config"], engine)
    if options["as_json"]:
        print_json({"boxes": str(boxes), "landmarks": str(landmarks), **vars(done)})
    else:
        click.echo(f"{boxes}: {done.faces:,} faces on {done.photos:,} photos, {done.ignored:,} weak ones to be ignored")


def _train(name: str, options: dict[str, Any], **own: Any) -> None:
    from dataclasses import replace

    from facepipe.cli.training_picture import draw_curves
    from facepipe.trainings import DETECTORS, train_detector

    sources = read_sources(options["images"], options["boxes"], options["landmarks"])
    _, kind = DETECTORS[name]
    chosen = kind(seed=options["seed"], effort=options["effort"], learning_rate=options["learning_rate"], **own)
    varied = {key: options[key] for key in ("turn", "worsen") if options[key] is not None}
    chosen = replace(chosen, variation=replace(chosen.variation, **varied))
    out = options["out"] or Path(f"training-{name}")
    with open_fit(options["engine"], options["address"], options["workers"]) as fit:
        started = time.monotonic()
        done = train_detector(name, sources, out, chosen, fit)
    figures = {"weights": str(done.weights), "photos": done.photos, "faces": done.faces}
    figures["seconds"] = round(time.monotonic() - started, 1)
    learned = f"{name}, from {done.faces:,} faces on {done.photos:,} photos"
    if options["as_json"]:
        print_json(figures)
    else:
        click.echo(f"{done.weights}: {learned}")
        click.echo(f"use it: facepipe models import {done.weights} --name my-{name}, then --set detect.model=my-{name}")
    if options["plot"]:
        draw_curves(options["plot"], out, learned)


def read_sources(images: Sequence[Path], boxes: Sequence[Path], landmarks: Sequence[Path]) -> list[Any]:
    """Return the labels of each folder, saying what was left out of them.

    Raises:
        WrongUsageError: a folder has no boxes, or landmarks are given for some folders alone.
    """
    from facepipe.training.labels import read_labels

    if len(images) != len(boxes):
        raise WrongUsageError(
            f"there are {len(images)} folders of photos and {len(boxes)} files of boxes: each folder needs its own"
        )
    if landmarks and len(landmarks) != len(images):
        raise WrongUsageError(
            f"there are {len(images)} folders of photos and {len(landmarks)} files of landmarks: say - for a folder "
            "without"
        )
    points = [None if str(file) == "-" else file for file in landmarks] or [None] * len(images)
    read = []
    for folder, box_file, point_file in zip(images, boxes, points, strict=True):
        labels = read_labels(folder, box_file, point_file)
        for kind, count in labels.left_out.items():
            click.echo(f"{box_file}: left out {count:,} {kind}", err=True)
        read.append(labels)
    return read
