"""The triplet loss, and which triplets of a batch it is taken over.

Source: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering" (CVPR
2015), sections 3.1 (equations 1 to 3) and 3.2 (equation 4).

Departs from the paper: the loss is the mean over the triplets that were chosen, where the paper's is their sum, so that
it doesn't depend on how many there are.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

MARGIN = 0.2


class Triplets(NamedTuple):
    """Rows of a batch of N faces, at least one, three by three; T may be 0.

    Attributes:
        anchor: (T,) int64.
        positive: (T,) int64, other faces of the anchors' people.
        negative: (T,) int64, faces of other people.
    """

    anchor: Tensor
    positive: Tensor
    negative: Tensor


Mining = Callable[[Tensor, Tensor, float], Triplets]


def squared_distances(embeddings: Tensor) -> Tensor:
    """Return the squared Euclidean distances between unit-length embeddings (N, D), as (N, N), 0 to 4."""
    return (2 - 2 * embeddings @ embeddings.T).clamp(min=0)


def triplet_losses(distances: Tensor, triplets: Triplets, margin: float) -> Tensor:
    """Return max(0, ‖a - p‖² - ‖a - n‖² + α) of each triplet, (T,) (equation 3).

    Args:
        distances: (N, N) squared.
        triplets: T of them.
        margin: α, above 0.

    Raises:
        ValueError: the margin is not above 0: then a network that gives all faces one vector has no loss.
    """
    if not margin > 0:
        raise ValueError(f"the margin must be above 0, not {margin}")
    anchor, positive, negative = triplets
    return (distances[anchor, positive] - distances[anchor, negative] + margin).clamp(min=0)


def mine_hardest(distances: Tensor, people: Tensor, _margin: float) -> Triplets:
    """Return for each face its farthest positive and its nearest negative (section 3.2, "argmax" and "argmin").

    Faces without a positive, or without a negative, are no anchors. Of equally far ones the first is taken.

    Args:
        distances: (N, N) squared.
        people: (N,) who each face is.
    """
    same, other = _kinds_of_pairs(people)
    positive = distances.where(same, -torch.inf).argmax(dim=1)
    negative = distances.where(other, torch.inf).argmin(dim=1)
    anchor = (same.any(dim=1) & other.any(dim=1)).nonzero()[:, 0]
    return Triplets(anchor, positive[anchor], negative[anchor])


def mine_semi_hard(distances: Tensor, people: Tensor, margin: float) -> Triplets:
    """Return all pairs of one person, each with its nearest semi-hard negative (equation 4).

    Semi-hard are negatives that are farther from the anchor than the positive, but by less than the margin. Pairs
    without one are left out.

    Args:
        distances: (N, N) squared.
        people: (N,) who each face is.
        margin: α.
    """
    same, other = _kinds_of_pairs(people)
    anchor, positive = same.nonzero(as_tuple=True)  # (M,)
    of_pair = distances[anchor, positive, None]  # (M, 1)
    to_all = distances[anchor]  # (M, N)
    semi_hard = other[anchor] & (to_all > of_pair) & (to_all < of_pair + margin)
    negative = to_all.where(semi_hard, torch.inf).argmin(dim=1)
    kept = semi_hard.any(dim=1)
    return Triplets(anchor[kept], positive[kept], negative[kept])


def mine_all(_distances: Tensor, people: Tensor, _margin: float) -> Triplets:
    """Return all valid triplets: each pair of one person with each face of another.

    Args:
        people: (N,) who each face is.
    """
    same, other = _kinds_of_pairs(people)
    anchor, positive = same.nonzero(as_tuple=True)
    pair, negative = other[anchor].nonzero(as_tuple=True)
    return Triplets(anchor[pair], positive[pair], negative)


MINING: dict[str, Mining] = {"hardest": mine_hardest, "semi-hard": mine_semi_hard, "all": mine_all}


def has_triplets(people: Tensor) -> bool:
    """Return whether there is any valid triplet among faces of people (N,)."""
    same, other = _kinds_of_pairs(people)
    return bool((same.any(dim=1) & other.any(dim=1)).any())


def mean_distances(distances: Tensor, people: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean squared distance over all positive pairs and over all negative pairs; 0 where there are none.

    Args:
        distances: (N, N) squared.
        people: (N,) who each face is.
    """
    positive, negative = ((distances * kind).sum() / kind.sum().clamp(min=1) for kind in _kinds_of_pairs(people))
    return positive, negative


def active_share(distances: Tensor, people: Tensor, margin: float) -> Tensor:
    """Return which share of all valid triplets of a batch, chosen or not, has a loss: 1 at the worst; 0 without any.

    Args:
        distances: (N, N) squared.
        people: (N,) who each face is.
        margin: α.
    """
    same, other = _kinds_of_pairs(people)
    negatives = distances.where(other, torch.inf).sort(dim=1).values
    nearer = torch.searchsorted(negatives, distances + margin)  # (N, N) negatives, were it a positive
    valid = (same.sum(dim=1) * other.sum(dim=1)).sum()
    return (nearer * same).sum() / valid.clamp(min=1)


def _kinds_of_pairs(people: Tensor) -> tuple[Tensor, Tensor]:
    """Return which pairs (N, N) are two faces of one person, and which are of two."""
    alike = people[:, None] == people[None, :]
    return alike & ~torch.eye(len(people), dtype=torch.bool, device=people.device), ~alike
