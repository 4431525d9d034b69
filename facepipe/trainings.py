"""Trainings end to end: labelled photos become samples, samples a network, and its weights a file to import."""

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch

from facepipe.config import Config
from facepipe.errors import TrainingError, WrongUsageError
from facepipe.evaluations import run_stages
from facepipe.runtime.engine import Engine
from facepipe.stage import Stage
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.rows import arrays_of
from facepipe.training.labels import EDGES, Labels
from facepipe.training.loop import State
from facepipe.training.mtcnn import MtcnnOptions, train_mtcnn
from facepipe.training.recipe import Fit, TrainingOptions

Recipe = Callable[[Sequence[Labels], Path, Any, Fit], State]
DETECTORS: dict[str, tuple[Recipe, type[TrainingOptions]]] = {"mtcnn": (train_mtcnn, MtcnnOptions)}

SETTINGS = "training.json"
WEIGHTS = "model.safetensors"
SURE = 0.9  # a detection scored at least so is labelled a face


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Attributes:
        weights: the safetensors file.
        photos: that were learned from.
        faces: on them.
    """

    weights: Path
    photos: int
    faces: int


def train_detector(name: str, sources: Sequence[Labels], folder: Path, options: TrainingOptions, fit: Fit) -> Trained:
    """Return what a detector's training leaves in a folder; what was finished there before is not done again.

    Args:
        name: of the detector.
        sources: labelled photos.
        folder: for settings, samples, checkpoints, progress and weights.
        options: of that detector's recipe.
        fit: trains networks.

    Raises:
        WrongUsageError: the folder holds a training with other settings or other labels.
        TrainingError: see `training.loop.fit`.
    """
    recipe, _ = DETECTORS[name]
    _claim(folder, {"name": name, **_plain(options), "labels": [_digest(labels) for labels in sources]})
    weights = folder / WEIGHTS
    if not weights.exists():
        state = recipe(sources, folder, options, fit)
        partial = weights.with_name(f".{WEIGHTS}")
        safetensors.torch.save_file(state, partial)
        partial.replace(weights)
    photos = sum(len(labels.photos) for labels in sources)
    return Trained(weights, photos, sum(labels.faces for labels in sources))


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Write down what is trained in a folder, or check that it is the same training as before."""
    file = folder / SETTINGS
    text = json.dumps(settings, indent=1, sort_keys=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_text(text)
        before = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise WrongUsageError(f"{folder} can't hold a training ({error}): choose another folder with --out") from error
    other = [key for key, value in json.loads(text).items() if before.get(key) != value]
    if other:
        raise WrongUsageError(
            f"{folder} holds a training with another {other[0]!r}: choose another folder with --out, or repeat the "
            "command as it was to go on"
        )


def _plain(options: TrainingOptions) -> dict[str, Any]:
    """Return options as JSON; weights to start from as their digest."""
    values: dict[str, Any] = {}
    for name, value in vars(options).items():
        if is_dataclass(value) and not isinstance(value, type):
            values[name] = asdict(value)
        elif isinstance(value, dict):
            values[name] = hashlib.sha256(safetensors.torch.save(value)).hexdigest()
        else:
            values[name] = value
    return values


def _digest(labels: Labels) -> str:
    digest = hashlib.sha256()
    for photo in labels.photos:
        digest.update(photo.path.name.encode())
        for array in (photo.boxes, photo.landmarks, photo.ignored):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Labelled:
    """How many photos were labelled, and with what.

    Attributes:
        photos: looked at.
        faces: labelled as such.
        ignored: weak detections: neither faces nor background.
    """

    photos: int
    faces: int
    ignored: int


def label_photos(
    images: Path, names: Sequence[str], boxes: Path, landmarks: Path, config: Config, engine: Engine
) -> Labelled:
    """Write the faces that a detector finds on photos as labels (`training.labels`), to train another one from.

    Detections below SURE are marked to be ignored: they are neither faces to learn nor background.

    Args:
        images: the folder.
        names: of the photos, as paths in it.
        boxes: CSV to write.
        landmarks: likewise; with no rows where the detector places none.
        config: settings; `detect.thresholds` decide how weak a detection may be to be ignored.
        engine: carries the stages out; closed afterwards.
    """
    stages: list[list[Stage]] = [[IdentifyFiles(config.decode), ReadPhotos(config.decode), DetectFaces(config.detect)]]
    found = run_stages([images / name for name in names], stages, ["boxes", "scores", "landmarks"], config, engine)
    columns = (arrays_of(found["boxes"], 4), arrays_of(found["scores"], 1), arrays_of(found["landmarks"], 10))
    faces = ignored = 0
    with boxes.open("w", newline="") as box_file, landmarks.open("w", newline="") as point_file:
        box_rows, point_rows = csv.writer(box_file), csv.writer(point_file)
        box_rows.writerow(["image", "face", *EDGES, "ignore"])
        point_rows.writerow(["image", "face", "point", "x", "y"])
        for name, box, score, points in zip(names, *columns, strict=True):
            if not len(box):
                box_rows.writerow([name, "", "", "", "", "", ""])
            for face, edges in enumerate(box):
                sure = bool(score[face, 0] >= SURE)
                box_rows.writerow([name, face, *(f"{edge:.2f}" for edge in edges), "" if sure else "1"])
                faces, ignored = faces + sure, ignored + (not sure)
                if sure and len(points):
                    for point, (x, y) in enumerate(points[face].reshape(5, 2)):
                        point_rows.writerow([name, face, point, f"{x:.2f}", f"{y:.2f}"])
    return Labelled(len(names), faces, ignored)


def photo_names(images: Path) -> list[str]:
    """Return the photos in a folder, at any depth, as paths in it.

    Raises:
        WrongUsageError: there are none.
    """
    names = sorted(
        str(path.relative_to(images)) for path in images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    if not names:
        raise WrongUsageError(f"{images} holds no photos")
    return names


def read_weights(path: Path) -> State:
    """Return the tensors of a safetensors file to start from.

    Raises:
        TrainingError: it can't be read.
    """
    try:
        return dict(safetensors.torch.load_file(path))
    except (OSError, safetensors.SafetensorError) as error:
        raise TrainingError(f"{path} is no readable safetensors file: {error}") from error
