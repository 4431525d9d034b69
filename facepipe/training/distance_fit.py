"""Distances for grouping are fitted to faces of known people whom a model didn't learn from."""

from math import log10, sqrt

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from facepipe.clustering.grouping import STRICTER, USUAL_FACES, GroupingSettings, group_faces
from facepipe.clustering.mst import similarity_at
from facepipe.evaluation.clustering import compare_groups
from facepipe.models.distances import Distances

STEPS = 14  # tried of each distance
EQUAL = 0.003  # of BCubed F: settings this near to the best one are as good


def fit_distances(embeddings: npt.NDArray[np.float32], person: npt.NDArray[np.int64]) -> Distances:
    """Return the distances by which faces are grouped best, by BCubed F, with a margin.

    Of all settings that are as good as the best one, and whose neighbours do well, too, the middle one is taken.

    Args:
        embeddings: (N, D) float32, unit length.
        person: (N,) who each is; at least two faces of one person, and faces of two people.
    """
    rows, columns = np.triu_indices(len(person), 1)
    apart = np.linalg.norm(embeddings[rows] - embeddings[columns], axis=1)
    same = person[rows] == person[columns]
    tried = np.linspace(np.quantile(apart[same], 0.05), np.quantile(apart[~same], 0.25), STEPS).clip(1e-3, 2.0)
    f = uniform_filter([[_f_of(embeddings, person, link, average) for average in tried] for link in tried], 3)
    good = np.argwhere(f >= f.max() - EQUAL)
    link, average = good[np.argmin(((good - good.mean(axis=0)) ** 2).sum(axis=1))]
    return Distances(_in_a_library(float(tried[link]), len(person)), float(tried[average]))


def _f_of(
    embeddings: npt.NDArray[np.float32], person: npt.NDArray[np.int64], link: np.float64, average: np.float64
) -> float:
    settings = GroupingSettings(link_distance=float(link), average_distance=float(average))
    return compare_groups(person, group_faces(embeddings, np.arange(len(person)), settings).labels).bcubed.f


def _in_a_library(link: float, faces: int) -> float:
    """Return the link distance for a library of 4,000 faces of one that was fitted to so few (`link_similarity`)."""
    similarity = min(similarity_at(link) + STRICTER * max(0.0, log10(USUAL_FACES / faces)), 1 - 1e-6)
    return sqrt(2 - 2 * similarity)
