"""Distances for grouping are found on made people, and travel with the weights."""

import numpy as np
import pytest

from facepipe.clustering.grouping import GroupingSettings, group_faces
from facepipe.errors import WeightsError
from facepipe.evaluation.clustering import compare_groups
from facepipe.models.distances import Distances
from facepipe.training.distance_fit import fit_distances


def made_people(people: int, spread: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Faces of people with one to five photos each: unit vectors around random ones."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), rng.integers(1, 6, people))
    faces = rng.normal(size=(people, 64))[person] + spread * rng.normal(size=(len(person), 64))
    return (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32), person


@pytest.mark.parametrize("spread", [0.1, 0.3, 0.6])
def test_other_people_are_grouped_well_by_them(spread: float) -> None:
    distances = fit_distances(*made_people(60, spread, seed=1))
    embeddings, person = made_people(200, spread, seed=2)
    settings = GroupingSettings(link_distance=distances.link, average_distance=distances.average)
    labels = group_faces(embeddings, np.arange(len(person)), settings).labels
    assert compare_groups(person, labels).bcubed.f > 0.9


def test_vectors_that_mean_nothing_are_left_alone() -> None:
    embeddings, person = made_people(120, spread=20.0, seed=3)
    distances = fit_distances(embeddings, person)
    settings = GroupingSettings(link_distance=distances.link, average_distance=distances.average)
    grouped = compare_groups(person, group_faces(embeddings, np.arange(len(person)), settings).labels)
    assert grouped.bcubed.precision > 0.9


def test_few_people_tell_distances_that_are_safe_for_many() -> None:
    """A network that tells people apart half-way: what is best for a hundred faces groups too many of thousands."""
    distances = fit_distances(*made_people(40, spread=1.4, seed=4))
    embeddings, person = made_people(1000, spread=1.4, seed=5)
    settings = GroupingSettings(link_distance=distances.link, average_distance=distances.average)
    labels = group_faces(embeddings, np.arange(len(person)), settings).labels
    grouped, alone = compare_groups(person, labels).bcubed, compare_groups(person, np.arange(len(person))).bcubed
    assert grouped.precision > 0.9  # fitted to the hundred faces alone: 0.5
    assert grouped.f > 1.05 * alone.f


def test_they_are_read_from_a_files_metadata() -> None:
    distances = Distances(0.7, 0.8)
    assert Distances.from_metadata(distances.as_metadata(), "a file") == distances
    assert Distances.from_metadata({"seconds": "3"}, "a file") is None
    with pytest.raises(WeightsError, match="no numbers"):
        Distances.from_metadata({"link_distance": "near"}, "a file")
    with pytest.raises(WeightsError, match="out of range"):
        Distances.from_metadata({"link_distance": "0.5", "average_distance": "3"}, "a file")
