"""Chinese Whispers (Biemann 2006, "Chinese Whispers: an efficient graph clustering algorithm"), as in dlib."""

import numpy as np
import numpy.typing as npt

from facepipe.evaluation.pair_distances import Embeddings, Ints, pairs_nearer_than

MOST_PASSES = 100  # as dlib has it


def chinese_whispers(embeddings: Embeddings, distance: float, seed: int) -> Ints:
    """Return groups of faces that took over each other's labels along edges.

    Every face begins as a group of its own. Then, face by face in random order, each takes the label that most of its
    neighbours have, itself counted among them, of equally frequent ones the smallest, until nothing changes. That is
    dlib's rule for faces (`chinese_whispers_clustering`): edges do not weigh, and a face is its own neighbour.

    Departs from the paper: edges do not weigh, a face votes for its own label, and ties fall to the smallest label
    instead of at random. Departs from dlib: labels begin in random order, so that no tie falls by the order of the
    rows; a pass visits every face once, as in the paper, where dlib draws as many with replacement; and passes end,
    after 100 at most as in dlib, where one changes nothing.

    Args:
        embeddings: (N, D) float32, unit length.
        distance: faces nearer than this (Euclidean, 0 to 2) have an edge.
        seed: of the first labels and of the order.

    Returns:
        (N,) int64: each face's label, 0 to N - 1.
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(len(embeddings))
    starts, neighbors = _neighborhoods(pairs_nearer_than(embeddings, distance), len(embeddings))
    connected = np.flatnonzero(np.diff(starts) > 1)
    stale = np.ones(len(embeddings), np.bool_)  # whose neighbours changed since it was last asked
    for _ in range(MOST_PASSES):
        for face in rng.permutation(connected).tolist():
            if not stale[face]:
                continue
            stale[face] = False
            around = neighbors[starts[face] : starts[face + 1]]
            heard, votes = np.unique(labels[around], return_counts=True)
            most = heard[votes.argmax()]
            if most != labels[face]:
                labels[face] = most
                stale[around] = True
        if not stale[connected].any():
            break
    return labels


def _neighborhoods(pairs: Ints, count: int) -> tuple[Ints, npt.NDArray[np.int64]]:
    """Return where each face's neighbours start (N + 1,) in one list of them all; each is its own neighbour."""
    itself = np.arange(count)
    faces = np.concatenate([pairs[:, 0], pairs[:, 1], itself])
    neighbors = np.concatenate([pairs[:, 1], pairs[:, 0], itself])
    starts = np.concatenate([[0], np.cumsum(np.bincount(faces, minlength=count))])
    return starts, neighbors[np.argsort(faces, kind="stable")]
