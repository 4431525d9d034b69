"""The mean embedding that is subtracted before comparing: fixed with the weights, never a library's own.

It is the mean of unit-length embeddings of training people. A file holds one tensor, `mean`, (D,) float32; with weights
that a training has adapted it travels in their file's metadata.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from facepipe.errors import WeightsError
from facepipe.models.cache import find_record
from facepipe.models.registry import MODELS


def mean_embedding(name: str) -> np.ndarray | None:
    """Return a model's mean embedding, (D,) float32; None for a model that has none.

    Raises:
        WeightsError: the mean can't be read.
    """
    entry = MODELS.get(name)
    if entry is not None and entry.mean_file is not None:
        return read_mean(entry.mean_file)
    record = find_record(name)
    if record is None or record.mean is None:
        return None
    return check_mean(np.array(record.mean, np.float32), f"the record of {name!r}")


def read_mean(path: Path) -> np.ndarray:
    """Return the mean embedding in a safetensors file, (D,) float32.

    Raises:
        WeightsError: the file can't be read, or holds something else.
    """
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"the mean embedding {path} can't be read: {error}") from error
    if set(tensors) != {"mean"}:
        raise WeightsError(f"{path} is no mean embedding: it should hold one tensor called 'mean'")
    return check_mean(tensors["mean"], str(path))


def write_mean(path: Path, mean: np.ndarray) -> None:
    """Write a mean embedding, (D,) float32, as `read_mean` expects it."""
    path.write_bytes(safetensors.numpy.save({"mean": np.ascontiguousarray(check_mean(mean, "the mean"))}))


def mean_as_metadata(mean: np.ndarray | None) -> dict[str, str]:
    """Return what is written into the metadata of weights' file; nothing where there is no mean embedding."""
    return {} if mean is None else {"mean": json.dumps(mean.tolist())}


def mean_from_metadata(metadata: Mapping[str, str], source: str) -> np.ndarray | None:
    """Return the mean embedding, (D,) float32, that a file's metadata tells; None where it tells none.

    Raises:
        WeightsError: it tells something that can't be.
    """
    if "mean" not in metadata:
        return None
    try:
        mean = np.array(json.loads(metadata["mean"]), np.float32)
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{source} tells a mean embedding that can't be read: {error}") from error
    return check_mean(mean, source)


def check_mean(mean: np.ndarray, source: str) -> np.ndarray:
    """Return the vector itself if it can be a mean of unit vectors.

    Raises:
        WeightsError: it has another shape or type, isn't finite, or is as long as the vectors it is the mean of.
    """
    if mean.ndim != 1 or mean.dtype != np.float32 or not np.isfinite(mean).all() or not np.linalg.norm(mean) < 1:
        raise WeightsError(f"{source} holds no mean embedding: that is one row of finite float32, shorter than 1")
    return mean
