"""How well a face fits a person, and faces that join a person afterwards."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# The least log loss on lfw-train: each face's own person against the nearest other one, equally weighted. There,
# 5 % of faces are farther than 1.0 from the rest of their person, and 3 % have another person nearer than that.
PROBABILITY_MIDPOINT = 1.00
PROBABILITY_SCALE = 0.035

FACES_AT_ONCE = 8192  # bounds the memory of what is gathered


def attach_faces(
    embeddings: Embeddings,
    photo_index: Ints,
    labels: Ints,
    *,
    loose: Ints,
    neighbor_ids: Ints,
    attach_distance: float,
    barred: Collection[tuple[int, int]] = (),
) -> Ints:
    """Return the labels with loose faces joined to the nearest person among their neighbours, nearest faces first.

    A person takes at most one face of a photo, and the people themselves don't move: what joins changes no distance.

    Args:
        embeddings: (N, D) float32, unit length.
        photo_index: (N,) int64, the photo of each face.
        labels: (N,) int64 people, -1 for none; loose faces have none.
        loose: (L,) int64, the faces that may join.
        neighbor_ids: (L, K) int64, their nearest faces.
        attach_distance: greatest root mean square distance to the person's faces (Euclidean, 0 to 2).
        barred: pairs of a face and a person that don't go together.
    """
    attached = labels.copy()
    if attach_distance == 0 or not len(loose):
        return attached
    faces = np.repeat(loose, neighbor_ids.shape[1])
    pairs = np.stack([faces, labels[neighbor_ids].ravel()], axis=1)  # (P, 2) face and person
    pairs = np.unique(pairs[pairs[:, 1] >= 0], axis=0)
    faces, people = pairs.T
    sums, counts = _sums_of_groups(embeddings, labels)
    means = sums[people] / counts[people, None]  # (P, D)
    distances = rms_distance(embeddings[faces], means)
    near = np.flatnonzero(distances <= attach_distance)
    taken = set(zip(labels[labels >= 0].tolist(), photo_index[labels >= 0].tolist(), strict=True))
    refused = set(barred)
    for pair in near[np.argsort(distances[near], kind="stable")].tolist():
        face, person = int(faces[pair]), int(people[pair])
        slot = (person, int(photo_index[face]))
        if attached[face] < 0 and slot not in taken and (face, person) not in refused:
            attached[face] = person
            taken.add(slot)
    return attached


def membership_probabilities(embeddings: Embeddings, labels: Ints) -> npt.NDArray[np.float32]:
    """Return how sure each face's person is, from its root mean square distance to the person's other faces.

    A logistic curve of that distance, fitted on people held apart for training: the share of true members among faces
    at that distance, where a face is as often beside its own person as beside the nearest other one.

    Args:
        embeddings: (N, D) float32, unit length.
        labels: (N,) int64 people, -1 for none.

    Returns:
        (N,) float32, 0 to 1; 0 for faces without a person, or that are the person's only one.
    """
    probabilities = np.zeros(len(labels), np.float32)
    assigned = labels >= 0
    if not assigned.any():
        return probabilities
    sums, counts = _sums_of_groups(embeddings, labels)
    faces = np.flatnonzero(assigned)
    distances = np.empty(len(faces))
    for start in range(0, len(faces), FACES_AT_ONCE):
        some = faces[start : start + FACES_AT_ONCE]
        others = (sums[labels[some]] - embeddings[some]) / np.maximum(counts[labels[some], None] - 1, 1)  # (B, D)
        distances[start : start + len(some)] = rms_distance(embeddings[some], others)
    probabilities[assigned] = probability_at(distances)
    return probabilities


def probability_at(distances: Floats) -> Floats:
    """Return how likely faces are a person, from their root mean square distances to the person's other faces."""
    probabilities: Floats = 1 / (1 + np.exp((distances - PROBABILITY_MIDPOINT) / PROBABILITY_SCALE))
    return probabilities


def _sums_of_groups(embeddings: Embeddings, labels: Ints) -> tuple[Floats, Ints]:
    """Return the sum of each group's embeddings (G, D) and its number of faces (G,)."""
    assigned = np.flatnonzero(labels >= 0)
    faces = assigned[np.argsort(labels[assigned], kind="stable")]
    counts = np.bincount(labels[assigned], minlength=int(labels.max(initial=-1)) + 1)
    sums = np.zeros((len(counts), embeddings.shape[1]))
    ends = np.cumsum(counts)
    for group, (start, end) in enumerate(zip(ends - counts, ends, strict=True)):
        sums[group] = embeddings[faces[start:end]].sum(axis=0, dtype=np.float64)
    return sums, counts


def rms_distance(embeddings: Embeddings, means: Floats) -> Floats:
    """Return each unit vector's root mean square distance to the unit vectors of a given mean: sqrt(2 - 2 e.m)."""
    cosines: Floats = np.einsum("nd,nd->n", embeddings, means)
    return np.sqrt(np.maximum(2.0 - 2.0 * cosines, 0.0))
