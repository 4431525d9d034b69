"""`train`: detectors and recognisers learn from labelled photos."""

import click

from facepipe.cli.train_detectors import ddfd, faceness, hog, labels, mtcnn
from facepipe.cli.train_recognisers import deepface, facenet, vggface


@click.group("train")
def train() -> None:
    """Train detectors and recognisers on your own labelled photos; one that is stopped goes on where it was."""


for command in (mtcnn, ddfd, faceness, hog, facenet, vggface, deepface, labels):
    train.add_command(command)
