"""`detect`: the faces on one photo, and how the detector comes to them."""

from pathlib import Path
from typing import Any

import click

from facepipe.cli.options import FILE, NEW_FILE, common_options, detector_option, print_json


@click.command()
@click.argument("photo", type=FILE, metavar="PHOTO")
@click.option(
    "--show",
    type=NEW_FILE,
    metavar="PNG",
    help="Draw what the detector sees, step by step.",
)
@detector_option
@common_options
def detect(photo: Path, show: Path | None, config: Any, as_json: bool) -> None:
    """Find the faces on a photo, without a library: boxes and landmarks in pixels of the upright photo."""
    from facepipe.imaging.steps_picture import write_steps
    from facepipe.one_photo import look_at_photo

    seen = look_at_photo(photo, config, with_steps=show is not None)
    if show is not None:
        write_steps(show, seen.steps)
    found = seen.detections
    landmarks = [None] * len(found) if found.landmarks is None else found.landmarks / seen.scale
    faces = [
        {
            "box": (box / seen.scale).round(2).tolist(),
            "score": round(float(score), 4),
            "landmarks": None if points is None else points.round(2).tolist(),
        }
        for box, score, points in zip(found.boxes, found.scores, landmarks, strict=True)
    ]
    if as_json:
        print_json({"faces": faces, "picture": None if show is None else str(show)})
        return
    for face in faces:
        click.echo(f"{face['score']:.3f}  " + " ".join(f"{edge:8.1f}" for edge in face["box"]))
    click.echo(f"{len(faces)} faces" + (f", drawn in {show}" if show else ""))
