"""`train facenet|vggface|deepface`: recognisers learn from photos of people whose names are known."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from facepipe.cli.options import FOLDER, computing_options, print_json, with_options
from facepipe.cli.training_options import open_fit, pace_options, weights_of
from facepipe.errors import WrongUsageError

Command = Callable[..., Any]


def recogniser_options(command: Command) -> Command:
    """Add what every recogniser's training takes."""
    add = with_options(
        click.option(
            "--images",
            multiple=True,
            type=FOLDER,
            metavar="DIR",
            help="Photos, a folder a person; may be repeated.",
        ),
        click.option(
            "--library",
            metavar="DIR|URI",
            help="A library: the people whom you have named or confirmed in it. Beside --images, or alone.",
        ),
        click.option("--grey", is_flag=True, help="Worn photos have lost their colours."),
        click.option(
            "--shrink",
            type=click.FloatRange(8, 1000),
            metavar="PIXELS",
            help="Worn photos are so small that a face is about so high.",
        ),
        click.option(
            "--jpeg", type=click.IntRange(1, 95), metavar="QUALITY", help="Worn photos are compressed about so."
        ),
        click.option(
            "--worn",
            type=click.FloatRange(0, 1),
            default=0.75,
            show_default=True,
            help="Share of photos that are worn, where any of the three above is given.",
        ),
    )
    return add(pace_options(computing_options(command)))


def triplet_options(people: str, faces: str, others: str) -> Callable[[Command], Command]:
    """Return what adds the options of training by triplets.

    Args:
        people: what is usual, for the help.
        faces: likewise.
        others: likewise.
    """
    return with_options(
        click.option(
            "--mining",
            type=click.Choice(["semi-hard", "hardest", "all"]),
            default="semi-hard",
            show_default=True,
            help="Which triplets of a batch are learned from.",
        ),
        click.option(
            "--margin",
            type=click.FloatRange(min=0, min_open=True),
            default=0.2,
            show_default=True,
            help="By which negatives shall be farther than positives (squared).",
        ),
        click.option(
            "--people",
            type=click.IntRange(1),
            metavar="P",
            show_default=people,
            help="In a batch, each with several faces.",
        ),
        click.option("--faces", type=click.IntRange(2), metavar="K", show_default=faces, help="Of each of them."),
        click.option(
            "--others",
            type=click.IntRange(0),
            metavar="R",
            show_default=others,
            help="Faces of other people in a batch.",
        ),
    )


@click.command()
@click.option(
    "--init",
    default="facenet-casia-webface",
    show_default=True,
    metavar="MODEL|FILE|none",
    help="Weights to adapt: a model's name or a safetensors file; none: a network from scratch.",
)
@click.option(
    "--width",
    type=click.FloatRange(0.125, 1),
    default=0.25,
    show_default=True,
    help="Factor on the channels of a network from scratch, a multiple of 1/8.",
)
@triplet_options(people="8, from scratch 16", faces="3, from scratch 4", others="8")
@recogniser_options
def facenet(init: str, width: float, **options: Any) -> None:
    """Inception-ResNet-v1 learns by triplets: given weights are adapted to your photos, or one learns from scratch."""
    from facepipe.training.facenet.train import SCRATCH_BATCH

    if width * 8 % 1:
        raise WrongUsageError(f"--width must be a multiple of 1/8, such as 0.25, not {width}")
    weights = None if init == "none" else weights_of(init, "inception_resnet_v1")
    usual = SCRATCH_BATCH if weights is None else _what_goes_with(init)
    _train("facenet", options, init=weights, width=width, **usual | _triplets(options))


@click.command()
@click.option(
    "--configuration", type=click.Choice(["A", "B", "D"]), default="D", show_default=True, help="11, 13 or 16 layers."
)
@click.option(
    "--width",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.25,
    show_default=True,
    help="Factor on all channels.",
)
@click.option(
    "--size", type=int, default=64, show_default=True, metavar="PIXELS", help="Side of its crops, a multiple of 32."
)
@click.option(
    "--projection",
    type=click.IntRange(0),
    default=256,
    show_default=True,
    metavar="NUMBERS",
    help="Of an embedding, learned by triplets; 0: the classifier's own.",
)
@click.option("--fine-tune", is_flag=True, help="Triplets teach the whole network rather than the projection alone.")
@click.option("--triplets-alone", is_flag=True, help="Triplets teach the whole network from the beginning.")
@triplet_options(people="24", faces="4", others="32")
@recogniser_options
def vggface(
    configuration: str,
    width: float,
    size: int,
    projection: int,
    fine_tune: bool,
    triplets_alone: bool,
    **options: Any,
) -> None:
    """VGG-16 learns to classify people, then a projection of its descriptors learns by triplets."""
    own = {"configuration": configuration, "width": width, "input_size": size, "projection": projection}
    stages = {"fine_tune": fine_tune, "triplets_alone": triplets_alone}
    _train("vggface", options, **own, **stages, **_triplets(options))


@click.command()
@click.option(
    "--width",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.375,
    show_default=True,
    help="Factor on all channels and features.",
)
@click.option(
    "--size", type=int, default=88, show_default=True, metavar="PIXELS", help="Side of its crops, even, at least 72."
)
@click.option(
    "--alignment",
    type=click.Choice(["3d", "2d", "box"]),
    default="3d",
    show_default=True,
    help="Faces are turned to the camera, aligned in the plane, or cut out as they are.",
)
@click.option(
    "--fiducials",
    type=click.Choice(["detector", "dlib"]),
    default="detector",
    show_default=True,
    help="Points that they are aligned by: the detector's five, or dlib's 68.",
)
@recogniser_options
def deepface(width: float, size: int, alignment: str, fiducials: str, **options: Any) -> None:
    """DeepFace's locally connected network learns to classify people whose faces are turned to the camera."""
    own = {"width": width, "input_size": size, "alignment": alignment, "fiducials": fiducials}
    _train("deepface", options, **own)


def _what_goes_with(init: str) -> dict[str, Any]:
    """Return the mean embedding and the distances that go with weights to adapt, of a file or of a model."""
    from facepipe.models.distances import Distances, distances_of
    from facepipe.models.mean import mean_embedding, mean_from_metadata
    from facepipe.models.tensors import metadata_of

    if Path(init).suffix != ".safetensors":
        return {"mean": mean_embedding(init), "distances": distances_of(init)}
    told = metadata_of(Path(init).read_bytes())
    return {"mean": mean_from_metadata(told, init), "distances": Distances.from_metadata(told, init)}


def _triplets(options: dict[str, Any]) -> dict[str, Any]:
    """Return what is asked for of triplets; where nothing is, the recipe decides."""
    names = ("mining", "margin", "people", "faces", "others")
    return {name: options[name] for name in names if options[name] is not None}


def _train(name: str, options: dict[str, Any], **own: Any) -> None:
    import numpy as np

    from facepipe.cli.training_picture import draw_curves
    from facepipe.labelled_people import WIDE, collect_people
    from facepipe.labelled_photos import digest_of_photos
    from facepipe.runtime.engine import create_engine
    from facepipe.training.face_crops import CropVariation, Wear
    from facepipe.trainings import RECOGNISERS, claim, train_recogniser

    images, named = options["images"], _named_faces(options)
    _, kind = RECOGNISERS[name]
    wear = Wear(options["grey"], options["shrink"], options["jpeg"])
    chosen: Any = kind(
        seed=options["seed"],
        effort=options["effort"],
        learning_rate=options["learning_rate"],
        variation=CropVariation(wear=wear, worn=options["worn"]),
        **own,
    )
    out = options["out"] or Path(f"training-{name}")
    started = time.monotonic()
    library = None if named is None else {"location": named.location, "people": named.digest}
    claim(out, name, chosen, [f"{folder.absolute()}: {digest_of_photos(folder)}" for folder in images], library)
    engine = create_engine(options["engine"], options["address"])
    crops = WIDE._replace(alignment=chosen.alignment, fiducials=chosen.fiducials)
    people = collect_people(images, named, out, options["config"], engine, crops)
    for reason, count in people.left_out.items():
        click.echo(f"left out {reason}: {count:,}", err=True)
    _, faces_of = np.unique(np.asarray(people.samples.arrays()["person"]), return_counts=True)
    if single := int((faces_of == 1).sum()):
        use = "of use as others alone" if chosen.learns_by_triplets else "of no use to a classifier"
        click.echo(f"people with one face, {use}: {single:,}", err=True)
    with open_fit(options["engine"], options["address"], options["workers"]) as fit:
        done = train_recogniser(name, people.samples, out, chosen, fit)
    figures = {
        "weights": str(done.weights),
        "people": len(people.names),
        "people_with_one_face": single,
        "faces": done.faces,
        "left_out": people.left_out,
        "seconds": round(time.monotonic() - started, 1),
    }
    learned = f"{name}, from {done.faces:,} faces of {len(people.names):,} people"
    if options["as_json"]:
        print_json(figures)
    else:
        click.echo(f"{done.weights}: {learned}")
        click.echo(
            f"use it: facepipe models import {done.weights} --name my-{name}, then --embedder {name} --set "
            f"embed.model=my-{name}"
        )
    if options["plot"]:
        draw_curves(options["plot"], out, learned)


def _named_faces(options: dict[str, Any]) -> Any:
    """Return the faces of a library that are known to be somebody's; None where no library is given.

    Raises:
        WrongUsageError: there is nothing to learn from, or no such library, or nobody in it is named or confirmed.
    """
    if options["library"] is None:
        if not options["images"]:
            raise WrongUsageError("say whom to learn from: --images DIR, a folder a person, or --library DIR, or both")
        return None
    from facepipe.library.library import Library
    from facepipe.stages.named_faces import named_faces

    return named_faces(Library.open(options["library"]))
