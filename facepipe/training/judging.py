"""How well a network in training tells people apart whom it doesn't learn from."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facepipe.evaluation.lfw import area_under_roc
from facepipe.training.face_samples import FaceSamples
from facepipe.training.people import Ints, rank_of_each

MOST_JUDGED = 240  # faces
JUDGED_OF_EACH = 5  # faces: else who has many photos would have nearly all pairs
_AT_ONCE = 32


def judge(
    network: Callable[[Tensor], Tensor], faces: FaceSamples, rows: Ints, wanted: npt.NDArray[np.float32] | None = None
) -> Mapping[str, float]:
    """Return the area under the ROC curve of people's pairs, `auc`, and of the same faces worn, `worn_auc`, if any are.

    `score` is their separation, or the mean of both: it still grows where areas are nearly 1, and varies less. Where
    it is known what a network should say, the score is how far it is from that, negated, which varies least.

    Args:
        network: takes crops (B, S, S, 3) uint8 RGB and returns embeddings of unit length (B, D).
        faces: see there.
        rows: (M,) of people whom it doesn't learn from; looked at are the first JUDGED_OF_EACH of each person, and of
            these the first MOST_JUDGED.
        wanted: (N, D) of all faces, worn or not; None: it isn't known.
    """
    rows = rows[rank_of_each(faces.person[rows]) < JUDGED_OF_EACH][:MOST_JUDGED]
    upper = np.triu_indices(len(rows), 1)
    person = faces.person[rows]
    same = (person[:, None] == person[None, :])[upper]
    figures, scores = {}, []
    kinds = {"auc": False} if faces.variation.wear.does_nothing else {"auc": False, "worn_auc": True}
    for name, worn in kinds.items():
        embeddings = embed(network, faces, rows, worn=worn)
        similarities = (embeddings @ embeddings.T)[upper]
        figures[name] = area_under_roc(similarities, same)
        off = None if wanted is None else np.square(embeddings - wanted[rows]).sum(axis=1).mean()
        scores.append(separation(similarities, same) if off is None else -off)
    return {"score": float(np.mean(scores)), **figures}


def separation(similarities: npt.NDArray[np.floating], same: npt.NDArray[np.bool_]) -> float:
    """Return by how many standard deviations pairs of one person are more similar than others: d' of signal detection.

    0 where all similarities are equal.

    Args:
        similarities: (P,).
        same: (P,) whether a pair shows one person; of both kinds there must be some.
    """
    of_one, of_two = similarities[same], similarities[~same]
    spread = float(np.sqrt((of_one.var() + of_two.var()) / 2))
    return float(of_one.mean() - of_two.mean()) / spread if spread else 0.0


def embed(network: Callable[[Tensor], Tensor], faces: FaceSamples, rows: Ints, *, worn: bool = False) -> np.ndarray:
    """Return what a network gives of faces as they are, or worn, (M, D) float32.

    Args:
        network: takes crops (B, S, S, 3) uint8 RGB and returns vectors (B, D).
        faces: see there.
        rows: (M,) which of them.
        worn: whether the variation's wear is laid on.
    """
    parts = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    with torch.no_grad():
        given = [network(faces.plain(part, worn=worn)).float().cpu().numpy() for part in parts]
    return np.concatenate(given)
