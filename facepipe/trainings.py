"""Trainings end to end: labelled photos or faces become a network, and its weights a file to import."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch

from facepipe.alignment.aligning import grow_of
from facepipe.embedders.kinds import EMBEDDERS
from facepipe.errors import TrainingError, WrongUsageError
from facepipe.models.architectures import check_shapes
from facepipe.models.cache import in_single_precision, publish
from facepipe.models.distances import Distances
from facepipe.models.mean import mean_as_metadata
from facepipe.training.ddfd.train import DdfdOptions, train_ddfd
from facepipe.training.deepface.train import DeepFaceOptions, train_deepface
from facepipe.training.distance_fit import fit_distances
from facepipe.training.face_samples import FaceSamples
from facepipe.training.faceness.train import FacenessOptions, train_faceness
from facepipe.training.facenet.train import FaceNetOptions, train_facenet
from facepipe.training.hog.options import HogOptions
from facepipe.training.hog.train import train_hog
from facepipe.training.labels import Labels
from facepipe.training.loop import State
from facepipe.training.mtcnn.train import MtcnnOptions, train_mtcnn
from facepipe.training.people import split
from facepipe.training.recipe import DetectorOptions, Fit, RecogniserOptions, TrainingOptions
from facepipe.training.samples import Samples
from facepipe.training.vggface.train import VggFaceOptions, train_vggface

Recipe = Callable[[Sequence[Labels], Path, Any, Fit], State]
DETECTORS: dict[str, tuple[Recipe, type[DetectorOptions]]] = {
    "mtcnn": (train_mtcnn, MtcnnOptions),
    "ddfd": (train_ddfd, DdfdOptions),
    "faceness": (train_faceness, FacenessOptions),
    "hog": (train_hog, HogOptions),
}
RecogniserRecipe = Callable[[Samples, Path, Any, Fit], State]
RECOGNISERS: dict[str, tuple[RecogniserRecipe, type[RecogniserOptions]]] = {
    "facenet": (train_facenet, FaceNetOptions),
    "vggface": (train_vggface, VggFaceOptions),
    "deepface": (train_deepface, DeepFaceOptions),
}

SETTINGS = "training.json"
WEIGHTS = "model.safetensors"
MOST_FITTED = 4000  # held-out faces that distances are fitted to: all pairs of them are in memory


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Attributes:
        weights: the safetensors file, in half precision.
        photos: that were learned from.
        faces: on them.
        seconds: since the training began, or, where it was interrupted, since it last went on.
    """

    weights: Path
    photos: int
    faces: int
    seconds: float


def train_detector(name: str, sources: Sequence[Labels], folder: Path, options: DetectorOptions, fit: Fit) -> Trained:
    """Return what a detector's training leaves in a folder; what was finished there before is not done again.

    Args:
        name: of the detector.
        sources: labelled photos.
        folder: for settings, samples, checkpoints, progress and weights.
        options: of that detector's recipe.
        fit: trains networks.

    Raises:
        WrongUsageError: the folder holds a training with other settings or other labels.
        TrainingError: see `training.loop.fit`; the folder's weights are damaged, or of something else.
    """
    recipe, _ = DETECTORS[name]
    claim(folder, name, options, [_digest(labels) for labels in sources])
    weights, seconds = _train(folder, lambda: (recipe(sources, folder, options, fit), {}))
    photos = sum(len(labels.photos) for labels in sources)
    return Trained(weights, photos, sum(labels.faces for labels in sources), seconds)


def train_recogniser(name: str, samples: Samples, folder: Path, options: RecogniserOptions, fit: Fit) -> Trained:
    """Return what a recogniser's training leaves in a folder that was claimed for it.

    Args:
        name: of the recogniser.
        samples: faces of people (`training.face_samples.FaceSamples`).
        folder: for checkpoints, progress and weights; what was finished there before is not done again.
        options: of that recogniser's recipe.
        fit: trains networks.

    Raises:
        TrainingError: see `training.loop.fit`; there are too few people; the folder's weights are damaged.
    """
    recipe, _ = RECOGNISERS[name]

    def learn() -> tuple[State, Mapping[str, str]]:
        state = recipe(samples, folder, options, fit)
        distances = options.distances if options.adapts else _fit_distances(name, state, samples, options)
        return state, mean_as_metadata(options.mean) | ({} if distances is None else distances.as_metadata())

    weights, seconds = _train(folder, learn)
    faces = len(samples.arrays()["person"])
    return Trained(weights, faces, faces, seconds)


def _fit_distances(name: str, state: State, samples: Samples, options: RecogniserOptions) -> Distances:
    """Return the distances for grouping that suit the people who were held out."""
    embedder = EMBEDDERS[name].of(state, options.mean)
    faces = FaceSamples(samples, embedder.input_size, grow_of(options.alignment), options.variation)
    _, judged = split(faces.person, options.seed)
    if len(judged) > MOST_FITTED:
        judged = np.random.default_rng(options.seed).choice(judged, MOST_FITTED, replace=False)
    return fit_distances(embedder.embed(faces.plain(judged).numpy()), faces.person[judged])


def _train(folder: Path, learn: Callable[[], tuple[State, Mapping[str, str]]]) -> tuple[Path, float]:
    """Return the file of what is learned, in half precision, and how long it took; a finished one is not redone.

    Args:
        folder: of the training.
        learn: returns the weights, and what else shall be written beside them.
    """
    weights = folder / WEIGHTS
    if not weights.exists():
        started = time.monotonic()
        learned, told = learn()
        state = {name: tensor.half() for name, tensor in learned.items()}
        publish(weights, safetensors.torch.save(state, {**told, "seconds": f"{time.monotonic() - started:.1f}"}))
    return weights, _seconds_of(weights)


def _seconds_of(weights: Path) -> float:
    """Return how long a training took, from its weights."""
    try:
        with safetensors.safe_open(weights, "pt") as file:
            return float(file.metadata()["seconds"])
    except (OSError, safetensors.SafetensorError, TypeError, KeyError) as error:
        raise TrainingError(
            f"{weights} is damaged, or no training wrote it: move it away, or choose another folder with --out"
        ) from error


def claim(
    folder: Path,
    name: str,
    options: TrainingOptions,
    labels: Sequence[str],
    library: Mapping[str, str] | None = None,
) -> None:
    """Write down what is trained in a folder, or check that it is the same training as before.

    Args:
        folder: of the training.
        name: of what is trained.
        options: of its recipe.
        labels: digests of what it learns from.
        library: whose people it learns from: its `location`, and a digest of its `people`; None: there is none.

    Raises:
        WrongUsageError: the folder holds another training, or can't be written.
    """
    settings = {"name": name, **_plain(options), "labels": list(labels), "library": library}
    other = other_settings(folder / SETTINGS, settings)
    if [*other] == ["library"] and library and (other["library"] or {}).get("location") == library["location"]:
        raise WrongUsageError(
            f"the named people of {library['location']}, or their faces, have changed since the training in {folder} "
            "began: choose another folder with --out"
        )
    if [*other] == ["labels"]:
        raise WrongUsageError(
            f"the labelled photos have changed since the training in {folder} began, or are others: choose another "
            "folder with --out"
        )
    if other:
        raise WrongUsageError(
            f"{folder} holds a training with another {next(iter(other))!r}: choose another folder with --out, or "
            "repeat the command as it was to go on"
        )


def other_settings(file: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return which settings a folder was begun with that are others now, and what they were; write new ones down.

    Args:
        file: that remembers them, in the folder.
        settings: as JSON.

    Raises:
        WrongUsageError: the file can't be written, or is none.
    """
    text = json.dumps(settings, indent=1, sort_keys=True)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_text(text)
        before = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise WrongUsageError(
            f"{file.parent} can't hold a training ({error}): choose another folder with --out"
        ) from error
    return {key: before.get(key) for key, value in json.loads(text).items() if before.get(key) != value}


def _plain(options: TrainingOptions) -> dict[str, Any]:
    """Return options as JSON; weights to start from as their digest."""
    values: dict[str, Any] = {}
    for name, value in vars(options).items():
        if is_dataclass(value) and not isinstance(value, type):
            values[name] = asdict(value)
        elif isinstance(value, dict):
            values[name] = hashlib.sha256(safetensors.torch.save(value)).hexdigest()
        elif isinstance(value, np.ndarray):
            values[name] = hashlib.sha256(value.tobytes()).hexdigest()
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


def read_weights(path: Path, architecture: str | None = None) -> State:
    """Return the tensors of a safetensors file, in single precision.

    Args:
        path: of the file.
        architecture: that they have to be of; None: any.

    Raises:
        TrainingError: it can't be read.
        WeightsError: it is of another architecture.
    """
    try:
        state = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise TrainingError(f"{path} is no readable safetensors file: {error}") from error
    if architecture is not None:
        check_shapes(state, architecture, path.name)
    return in_single_precision(state)
