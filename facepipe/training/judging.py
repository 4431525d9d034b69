"""How well a network in training tells people apart whom it doesn't learn from."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from facepipe.evaluation.lfw import area_under_roc
from facepipe.training.face_samples import FaceSamples
from facepipe.training.people import Ints

MOST_JUDGED = 240  # faces
_AT_ONCE = 32


def judge(network: Callable[[Tensor], Tensor], faces: FaceSamples, rows: Ints) -> Mapping[str, float]:
    """Return the area under the ROC curve of people's pairs, `auc`, and of the same faces worn, `worn_auc`, if any are.

    `score` is their mean.

    Args:
        network: takes crops (B, S, S, 3) uint8 RGB and returns embeddings of unit length (B, D).
        faces: see there.
        rows: (M,) of people whom it doesn't learn from; the first MOST_JUDGED are looked at.
    """
    rows = rows[:MOST_JUDGED]
    upper = np.triu_indices(len(rows), 1)
    person = faces.person[rows]
    same = (person[:, None] == person[None, :])[upper]
    figures = {}
    kinds = {"auc": False} if faces.variation.wear.does_nothing else {"auc": False, "worn_auc": True}
    for name, worn in kinds.items():
        embeddings = embed(network, faces, rows, worn=worn)
        figures[name] = area_under_roc((embeddings @ embeddings.T)[upper], same)
    return {"score": float(np.mean(list(figures.values()))), **figures}


def embed(network: Callable[[Tensor], Tensor], faces: FaceSamples, rows: Ints, *, worn: bool = False) -> np.ndarray:
    """Return what a network gives of faces as they are, or worn, (M, D) float32."""
    parts = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    with torch.no_grad():
        given = [network(faces.plain(part, worn=worn)).float().cpu().numpy() for part in parts]
    return np.concatenate(given)
