"""How well groups of faces match people: BCubed (Amigó et al. 2009, section 3) and pairs of faces."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision, recall and their harmonic mean, 0 to 1."""

    precision: float
    recall: float
    f: float


@dataclass(frozen=True)
class ClusteringFigures:
    """What the comparison reports; the names are those of `eval clustering --json`.

    Attributes:
        bcubed: of a face's group, the share that is its person (precision), and of its person, the share that is in
            its group (recall); each averaged over all faces. A face counts as its own company.
        pairwise: of pairs of faces in one group, the share of one person (precision), and of pairs of one person, the
            share in one group (recall).
        faces: how many there are.
        groups: how many groups, unassigned faces left out.
        unassigned: faces without a group; in all other figures each is a group of its own.
        largest_impure: faces in the largest group that holds more than one person; 0 where all groups are pure.
    """

    bcubed: PrecisionRecall
    pairwise: PrecisionRecall
    faces: int
    groups: int
    unassigned: int
    largest_impure: int


def compare_groups(people: npt.NDArray[np.str_] | Ints, groups: Ints) -> ClusteringFigures:
    """Return how well groups match people.

    Args:
        people: (N,) who each face is, as names or numbers.
        groups: (N,) int64, the group of each face, -1 for unassigned.

    Returns:
        The figures; precision and recall over nothing (no faces, no pairs) are 1.
    """
    groups = np.asarray(groups, np.int64)
    unassigned = groups < 0
    group_count = len(np.unique(groups[~unassigned]))
    alone = groups.max(initial=-1) + 1 + np.arange(unassigned.sum())
    groups = groups.copy()
    groups[unassigned] = alone

    person = np.unique(people, return_inverse=True)[1].reshape(-1).astype(np.int64)
    group = np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)
    # The sparse contingency table: one cell for each group and person that meet.
    cells, both = np.unique(np.stack([group, person], axis=1), axis=0, return_counts=True)  # (C, 2), (C,)
    in_group = np.bincount(group)[cells[:, 0]]  # (C,)
    of_person = np.bincount(person)[cells[:, 1]]
    impure = in_group[both < in_group]
    return ClusteringFigures(
        bcubed=_precision_recall(np.sum(both**2 / in_group), np.sum(both**2 / of_person), len(person), len(person)),
        pairwise=_precision_recall(_pairs(both), _pairs(both), _pairs(np.bincount(group)), _pairs(np.bincount(person))),
        faces=len(person),
        groups=group_count,
        unassigned=int(unassigned.sum()),
        largest_impure=int(impure.max(initial=0)),
    )


def _pairs(sizes: Ints) -> float:
    return float(np.sum(sizes * (sizes - 1) // 2))


def _precision_recall(right: float, found: float, grouped: float, true: float) -> PrecisionRecall:
    """Return the shares right / grouped and found / true."""
    precision = float(right / grouped) if grouped else 1.0
    recall = float(found / true) if true else 1.0
    f = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return PrecisionRecall(precision, recall, f)
