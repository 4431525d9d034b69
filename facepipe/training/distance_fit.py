"""Distances for grouping are fitted to faces of known people whom a model didn't learn from."""

from math import log10, sqrt

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d
from scipy.spatial.distance import pdist

from facepipe.clustering.grouping import STRICTER, USUAL_FACES, GroupingSettings, group_faces
from facepipe.clustering.mst import similarity_at
from facepipe.evaluation.clustering import compare_groups
from facepipe.evaluation.pair_distances import condensed_distances
from facepipe.models.distances import Distances

STEPS = 40  # tried
EQUAL = 0.003  # of BCubed F and recall: what is so near to something else is as good
MOST_STRANGERS = 0.001  # false accept rate at the average distance: with more, strangers are joined in a library
# Those for FaceNet, whose proportion to each other is kept: a few hundred faces tell one number.
USUAL = GroupingSettings()


def fit_distances(embeddings: npt.NDArray[np.float32], person: npt.NDArray[np.int64]) -> Distances:
    """Return the distances by which faces are grouped best, by BCubed F, with a margin.

    Of all that are as good as the best one, and whose neighbours do well, too, the middle one is taken. What is tried
    begins where nothing is grouped: vectors that don't tell people apart are better left alone. Where some of the good
    ones group faces and others don't, the former count.

    A library holds more faces, and so more strangers: at most MOST_STRANGERS of them are nearer than the average
    distance, and links are as strict as 4,000 faces need.

    Args:
        embeddings: (N, D) float32, unit length.
        person: (N,) who each is; at least two faces of one person, and faces of two people.
    """
    apart = condensed_distances(embeddings)
    strangers = apart[pdist(person[:, None]) > 0]
    tried = np.linspace(0.9 * apart.min(), np.quantile(strangers, 0.25), STEPS).clip(1e-3, 2.0)
    figures = np.array([_figures_of(embeddings, person, average) for average in tried.tolist()])
    f, recall = uniform_filter1d(figures, 3, axis=0).T
    good = f >= f.max() - EQUAL
    useful = good & (recall > recall[0] + EQUAL)
    fitted = float(np.median(tried[useful if useful.any() else good]))
    average = min(fitted, float(np.quantile(strangers, MOST_STRANGERS)))
    return Distances(_in_a_library(_link_of(average), len(person)), average)


def _link_of(average: float) -> float:
    return average * USUAL.link_distance / USUAL.average_distance


def _figures_of(embeddings: npt.NDArray[np.float32], person: npt.NDArray[np.int64], average: float) -> list[float]:
    """Return F and recall by BCubed."""
    settings = GroupingSettings(link_distance=_link_of(average), average_distance=average)
    bcubed = compare_groups(person, group_faces(embeddings, np.arange(len(person)), settings).labels).bcubed
    return [bcubed.f, bcubed.recall]


def _in_a_library(link: float, faces: int) -> float:
    """Return the link distance for a library of 4,000 faces of one that was fitted to so few (`link_similarity`)."""
    similarity = min(similarity_at(link) + STRICTER * max(0.0, log10(USUAL_FACES / faces)), 1 - 1e-6)
    return sqrt(2 - 2 * similarity)
