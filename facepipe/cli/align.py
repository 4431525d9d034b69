"""`align`: how the faces of one photo are turned to the camera."""

from pathlib import Path
from typing import Any

import click

from facepipe.cli.options import FILE, NEW_FILE, common_options, detector_option, print_json
from facepipe.errors import WrongUsageError


@click.command()
@click.argument("photo", type=FILE, metavar="PHOTO")
@click.option("--show", type=NEW_FILE, metavar="PNG", help="Draw how each face is aligned, step by step.")
@detector_option
@common_options
def align(photo: Path, show: Path | None, config: Any, as_json: bool) -> None:
    """Align the faces on a photo in the plane and in space, without a library.

    `--set embed.fiducials=dlib` goes by 68 points that dlib finds rather than by the detector's five.
    """
    from facepipe.imaging.steps_picture import write_steps
    from facepipe.one_photo import align_faces_of, look_at_photo

    seen = look_at_photo(photo, config, with_steps=False)
    aligned = align_faces_of(seen, config)
    if not aligned:
        raise WrongUsageError(f"no face was found on {photo}: there is nothing to align")
    if show is not None:
        a_face_a_row = len(aligned[0].steps)
        write_steps(show, [step for face in aligned for step in face.steps], a_face_a_row)
    faces = [
        {
            "box": (box / seen.scale).round(2).tolist(),
            "points": (face.points / seen.scale).round(2).tolist(),
            "rounds": face.fiducials.rounds,
            "camera": face.frontal.camera.round(4).tolist(),
            "seen": round(float(face.frontal.seen.mean()), 4),
        }
        for box, face in zip(seen.detections.boxes, aligned, strict=True)
    ]
    if as_json:
        print_json({"faces": faces, "picture": None if show is None else str(show)})
        return
    for face in faces:
        click.echo(" ".join(f"{edge:8.1f}" for edge in face["box"]) + f"   {face['seen']:.0%} seen")
    click.echo(f"{len(faces)} faces" + (f", drawn in {show}" if show else ""))
