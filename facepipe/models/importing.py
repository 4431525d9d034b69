"""Takes weights from a file on this machine into the cache."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch

from facepipe.errors import WeightsError, WrongUsageError
from facepipe.models import deepface_network, vgg_network
from facepipe.models.architectures import ARCHITECTURES, check_shapes, expected_shapes
from facepipe.models.cache import Record, locked, publish, publish_record, weights_path
from facepipe.models.conversion import StateDict, facenet_from_facenet_pytorch
from facepipe.models.distances import Distances
from facepipe.models.inception_resnet_v1 import ARCHITECTURE as FACENET
from facepipe.models.inception_resnet_v1 import DIMENSION
from facepipe.models.mean import mean_from_metadata, read_mean
from facepipe.models.pickles import load_pickle
from facepipe.models.registry import MODELS, ModelEntry
from facepipe.models.tensors import looks_like_safetensors, metadata_of
from facepipe.models.vgg_conversion import flatten_fully_connected, looks_like_matlab, vgg_from_matconvnet

UNKNOWN_LICENCE = "unknown: given by whoever imported it"


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        record: what was stored.
        path: of the safetensors file.
        recognised: the file is to the bit the one that the registry names; None where it names none.
    """

    record: Record
    path: Path
    recognised: bool | None


def import_weights(
    path: Path, name: str | None = None, *, licence: str | None = None, mean: Path | None = None
) -> Imported:
    """Return what was stored of a file of weights.

    Args:
        path: a state dict of Inception-ResNet-v1 in facenet-pytorch's layout, pickled by torch, such as the release
            file `20180402-114759-vggface2.pt`; safetensors of any architecture in this project's own layout, which for
            VGG-Face is the published one; or MatConvNet's `vgg_face.mat`.
        name: what the model is called from now on; None: the registry's name for that file, or one made of its stem.
        licence: of the weights; None: the registry's.
        mean: safetensors with one tensor `mean`, (D,) float32, which is subtracted from unit-length embeddings; None:
            what the file tells in its metadata, as trainings write it.

    Raises:
        WeightsError: the file can't be read or is of no known architecture (the first tensor that differs is named).
        WrongUsageError: the name is not allowed, or taken by a model that is pulled.
    """
    entry = next((entry for entry in MODELS.values() if entry.import_file == path.name), None)
    if name is not None:
        entry = MODELS.get(name)
    name = name or (entry.name if entry else re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-_"))
    weights_path(name)  # refuses names that can't be file names, before any work
    if entry is not None and (entry.source is not None or entry.ships):
        how = "ships with facepipe" if entry.ships else "is pulled, not imported"
        raise WrongUsageError(f"{name!r} {how}: choose another name with --name")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WrongUsageError(f"cannot read {path}: {error.strerror}") from error
    architecture, state = _read_state(data, path.name)
    _check_entry(entry, architecture, path.name)
    told = metadata_of(data)
    mean_vector = mean_from_metadata(told, path.name) if mean is None else read_mean(mean)
    dimension = _dimension_of(architecture, state)
    if mean_vector is not None and len(mean_vector) != dimension:
        fitting = f"that takes {dimension} numbers" if dimension else f"a model of {architecture} takes none"
        raise WrongUsageError(f"the mean embedding {mean or 'that goes with it'} doesn't fit {path.name}: {fitting}")
    converted = safetensors.torch.save(state)
    record = Record(
        name=name,
        architecture=architecture,
        licence=licence or (entry.licence if entry else UNKNOWN_LICENCE),
        source=path.name,
        source_sha256=hashlib.sha256(data).hexdigest(),
        sha256=hashlib.sha256(converted).hexdigest(),
        mean=None if mean_vector is None else tuple(mean_vector.tolist()),
        distances=Distances.from_metadata(told, path.name) if dimension else None,
    )
    with locked(name):
        publish(weights_path(name), converted)
        publish_record(record)  # last: until it is there, the model isn't
    known = entry.import_sha256 if entry else None
    return Imported(record, weights_path(name), None if known is None else record.source_sha256 == known)


def _read_state(data: bytes, source: str) -> tuple[str, StateDict]:
    """Return (architecture, state dict) of a file's bytes, recognised by what is in them rather than by its name."""
    if looks_like_matlab(data):
        published = vgg_from_matconvnet(data, source)
        check_shapes(published, vgg_network.ARCHITECTURE, source)
        return vgg_network.ARCHITECTURE, published
    if not looks_like_safetensors(data):
        return FACENET, facenet_from_facenet_pytorch(load_pickle(data, source))
    try:
        state: StateDict = flatten_fully_connected(safetensors.torch.load(data))
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"{source} is no readable safetensors file: {error}") from error
    # Name the difference from the architecture that the file shares most with.
    architecture = max(ARCHITECTURES, key=lambda name: len(expected_shapes(name, state).keys() & state.keys()))
    check_shapes(state, architecture, source)
    return architecture, state


def _dimension_of(architecture: str, state: StateDict) -> int:
    """Return how many numbers a model's embeddings have; 0 of a model that embeds nothing."""
    if architecture == FACENET:
        return DIMENSION
    if architecture == deepface_network.ARCHITECTURE:
        return deepface_network.DeepFaceNetwork.shaped_like(state).dimension
    return vgg_network.VGG.shaped_like(state).dimension if architecture == vgg_network.ARCHITECTURE else 0


def _check_entry(entry: ModelEntry | None, architecture: str, source: str) -> None:
    if entry is not None and entry.architecture != architecture:
        raise WrongUsageError(
            f"{source} is of the architecture {architecture}, but {entry.name!r} is of {entry.architecture}"
        )
