"""A model's cohort: vectors of nobody in particular, against which every face is compared to see how common it looks.

Each is the mean of a group of training people's embeddings. A file holds two tensors: `cohort`, (C, D) float16, and
`usual`, (1,) float32.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from facepipe.errors import WeightsError
from facepipe.models.registry import MODELS


class Cohort(NamedTuple):
    """What faces are compared with.

    Attributes:
        vectors: (C, D) float32, of unit length up to rounding.
        usual: how similar a face usually is to the nearest few of them (`clustering.crowding`).
    """

    vectors: np.ndarray
    usual: float


def cohort_of(name: str) -> Cohort | None:
    """Return the cohort that ships for a model; None for a model that has none.

    Raises:
        WeightsError: it can't be read.
    """
    entry = MODELS.get(name)
    return None if entry is None or entry.cohort_file is None else read_cohort(entry.cohort_file)


def read_cohort(path: Path) -> Cohort:
    """Return the cohort in a safetensors file.

    Raises:
        WeightsError: the file can't be read, or holds something else.
    """
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"the cohort {path} can't be read: {error}") from error
    vectors, usual = tensors.get("cohort", np.zeros(0)), tensors.get("usual", np.zeros(0))
    fits = vectors.ndim == 2 and len(vectors) > 0 and usual.shape == (1,)
    if not (fits and np.isfinite(vectors).all() and np.isfinite(usual).all()):
        raise WeightsError(f"{path} is no cohort: it should hold rows called 'cohort' and one number called 'usual'")
    return Cohort(vectors.astype(np.float32), float(usual[0]))


def write_cohort(path: Path, cohort: Cohort) -> None:
    """Write a cohort as `read_cohort` expects it."""
    tensors: dict[str, np.ndarray] = {
        "cohort": cohort.vectors.astype(np.float16),
        "usual": np.array([cohort.usual], np.float32),
    }
    path.write_bytes(safetensors.numpy.save(tensors))
