import numpy as np
import pytest

from facepipe.clustering.crowding import NEAREST, crowding, less_crowding, make_cohort
from facepipe.clustering.grouping import group_faces
from facepipe.clustering.knn import Neighbors, nearest_neighbors


def unit_vectors(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def test_crowding_is_the_mean_similarity_to_the_nearest_of_the_cohort() -> None:
    faces, cohort = unit_vectors(20), unit_vectors(40, seed=1)
    slow = [sorted(cohort @ face)[-NEAREST:] for face in faces]
    assert np.allclose(crowding(faces, cohort, 0.25), np.mean(slow, axis=1) - 0.25, atol=1e-6)
    assert np.allclose(crowding(faces, cohort[:2], 0.0), (faces @ cohort[:2].T).mean(axis=1), atol=1e-6)


def test_a_cohort_is_of_unit_length_and_usual_for_strangers() -> None:
    vectors, usual = make_cohort(unit_vectors(400), 20)
    assert vectors.shape == (20, 16)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert crowding(unit_vectors(400, seed=1), vectors, usual).mean() == pytest.approx(0, abs=0.02)


def test_each_vector_of_a_cohort_stands_for_two_people_or_more() -> None:
    faces = unit_vectors(40, 64)  # strangers, so that most groups would be one face
    vectors, _ = make_cohort(faces, 20)
    similarity = np.sort(vectors @ faces.T, axis=1)[:, ::-1]
    assert (similarity[:, 0] < 0.95).all()
    assert (similarity[:, 1] > 0.5).all()


def test_neighbours_are_ordered_anew() -> None:
    neighbors = Neighbors(
        np.array([[1, 2], [0, 2], [0, 1]]), np.array([[0.9, 0.8], [0.9, 0.1], [0.8, 0.1]], np.float32)
    )
    lowered = less_crowding(neighbors, np.array([0.0, 0.4, 0.0]))
    assert lowered.ids.tolist() == [[2, 1], [0, 2], [0, 1]]
    assert np.allclose(lowered.similarities, [[0.8, 0.7], [0.7, -0.1], [0.8, -0.1]])
    assert less_crowding(neighbors, np.zeros(3)).ids.tolist() == neighbors.ids.tolist()


def test_faces_that_look_like_everybody_join_nobody() -> None:
    # Two people, and two pictures so blurred that each is as near to a person's photos as those are to one another.
    rng = np.random.default_rng(4)
    people = np.repeat(unit_vectors(2, 64), 4, axis=0)
    nobody = np.repeat(people.mean(axis=0, keepdims=True), 2, axis=0)
    vectors = np.concatenate([people + 0.08 * rng.normal(size=(8, 64)), nobody + 0.03 * rng.normal(size=(2, 64))])
    embeddings = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    plain = group_faces(embeddings, np.arange(10)).labels
    allowing = group_faces(embeddings, np.arange(10), crowded=np.array([0.0] * 8 + [0.5] * 2)).labels
    assert plain[8] >= 0
    assert allowing.tolist() == [0] * 4 + [1] * 4 + [-1] * 2


def test_neighbours_that_are_reported_are_the_plain_ones() -> None:
    embeddings = unit_vectors(30)
    reported = group_faces(embeddings, np.arange(30), crowded=np.linspace(-0.1, 0.1, 30)).neighbors
    assert (reported.ids == nearest_neighbors(embeddings, 64).ids).all()
