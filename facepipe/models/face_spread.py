"""How the faces of a model spread: between people, within a person, and where it puts what is no face.

Libraries are made by it (`evaluation.made_library`). It holds nobody's face: means of groups of at least three people,
covariances, and a few numbers. A file is safetensors with `axes`, `types`, `directions` in float16 and the rest in
float32.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from facepipe.errors import WeightsError
from facepipe.models.registry import MODELS

HALVED = ("axes", "types", "directions")  # kept in half as many bytes


class FaceSpread(NamedTuple):
    """A model of embeddings: a face is its person's centre and a deviation, both of unit length, mixed.

    All but `axes` is in d coordinates along them.

    Attributes:
        axes: (D, d) float32, orthonormal columns: the part of the space that faces fill.
        types: (T, d) float32, kinds of people, each the mean of several people's centres.
        shares: (T,) float32, of people who are of that kind, 1 in all.
        between: (d,) float32, variances of people around their type.
        directions: (d, d) float32, turns standard normal rows into deviations.
        conditions: (1,) float32, how many ways of looking a person has: the rank of what its deviations lie in.
        deviation: (3,) float32, how large deviations are, as a share of a face's squared length: the logarithm of its
            median, that logarithm's spread between people and its spread within one.
        leaning: (1,) float32, standard deviation of faces towards their person's type, beside `directions`.
        junk: (2, d) float32, mean and variances of what a detector takes for a face.
    """

    axes: np.ndarray
    types: np.ndarray
    shares: np.ndarray
    between: np.ndarray
    directions: np.ndarray
    conditions: np.ndarray
    deviation: np.ndarray
    leaning: np.ndarray
    junk: np.ndarray


def spread_of(name: str) -> FaceSpread | None:
    """Return the spread that ships for a model; None for a model that has none.

    Raises:
        WeightsError: it can't be read.
    """
    entry = MODELS.get(name)
    return None if entry is None or entry.spread_file is None else read_spread(entry.spread_file)


def read_spread(path: Path) -> FaceSpread:
    """Return the spread in a safetensors file.

    Raises:
        WeightsError: the file can't be read, or holds something else.
    """
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"the face spread {path} can't be read: {error}") from error
    if set(tensors) != set(FaceSpread._fields):
        raise WeightsError(f"{path} is no face spread: `facepipe models spread` writes one")
    spread = FaceSpread(**{name: tensors[name].astype(np.float32) for name in FaceSpread._fields})
    coordinates, types = spread.between.size, spread.shares.size
    shapes = {
        "axes": (spread.axes.shape[0], coordinates),
        "types": (types, coordinates),
        "shares": (types,),
        "between": (coordinates,),
        "directions": (coordinates, coordinates),
        "conditions": (1,),
        "deviation": (3,),
        "leaning": (1,),
        "junk": (2, coordinates),
    }
    for name, shape in shapes.items():
        tensor = getattr(spread, name)
        if tensor.shape != shape or not tensor.size or not np.isfinite(tensor).all():
            raise WeightsError(f"{path} is no face spread: its {name!r} should be finite numbers of shape {shape}")
    return spread


def write_spread(path: Path, spread: FaceSpread) -> None:
    """Write a spread as `read_spread` expects it."""
    tensors = {
        name: np.ascontiguousarray(tensor, np.float16 if name in HALVED else np.float32)
        for name, tensor in spread._asdict().items()
    }
    path.write_bytes(safetensors.numpy.save(tensors))
