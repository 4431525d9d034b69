import numpy as np
import pytest

from facepipe.clustering.attachment import attach_faces, membership_probabilities
from facepipe.clustering.knn import nearest_neighbors


def on_a_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


EMBEDDINGS = on_a_circle(0, 4, 100, 104, 10, 12, 60)
LABELS = np.array([0, 0, 1, 1, -1, -1, -1])
LOOSE = LABELS < 0


def attach(photos: list[int], distance: float, loose: np.ndarray = LOOSE, **how: object) -> list[int]:
    rows = np.flatnonzero(loose)
    ids = nearest_neighbors(EMBEDDINGS, 6, rows=rows).ids
    labels: list[int] = attach_faces(
        EMBEDDINGS,
        np.array(photos),
        LABELS,
        loose=rows,
        neighbor_ids=ids,
        attach_distance=distance,
        **how,  # type: ignore[arg-type]
    ).tolist()
    return labels


def test_loose_faces_join_the_nearest_person_within_the_distance() -> None:
    assert attach([0, 1, 2, 3, 4, 5, 6], 0.3) == [0, 0, 1, 1, 0, 0, -1]
    assert attach([0, 1, 2, 3, 4, 5, 6], 0.9) == [0, 0, 1, 1, 0, 0, 1]


def test_a_distance_of_zero_leaves_them_alone() -> None:
    assert attach([0, 1, 2, 3, 4, 5, 6], 0.0) == LABELS.tolist()


def test_of_two_faces_in_a_photo_the_nearer_one_joins() -> None:
    assert attach([0, 1, 2, 3, 4, 4, 6], 0.3) == [0, 0, 1, 1, 0, -1, -1]


def test_a_person_who_is_on_the_photo_already_takes_no_second_face() -> None:
    assert attach([0, 1, 2, 3, 0, 5, 6], 0.3) == [0, 0, 1, 1, -1, 0, -1]


def test_only_loose_faces_join() -> None:
    loose = np.array([False] * 5 + [True, False])
    assert attach([0, 1, 2, 3, 4, 5, 6], 0.9, loose) == [0, 0, 1, 1, -1, 0, -1]


def test_a_face_never_joins_whom_it_is_barred_from() -> None:
    assert attach([0, 1, 2, 3, 4, 5, 6], 0.3, barred=[(4, 0), (5, 1)]) == [0, 0, 1, 1, -1, 0, -1]


def test_probability_falls_with_the_distance_to_the_persons_other_faces() -> None:
    embeddings = on_a_circle(0, 5, 10, 75, 200)
    probabilities = membership_probabilities(embeddings, np.array([0, 0, 0, 0, -1]))
    assert probabilities[4] == 0
    assert probabilities.dtype == np.float32
    assert probabilities[2] > probabilities[0] > probabilities[3] > 0
    # The person's own face doesn't count: two equal faces are as sure as can be, whatever others there are.
    pair = membership_probabilities(on_a_circle(0, 0, 90), np.array([0, 0, -1]))
    assert pair[0] == pytest.approx(pair[1])
    assert pair[0] > 0.99


def test_nobody_at_all() -> None:
    assert membership_probabilities(EMBEDDINGS, np.full(7, -1)).tolist() == [0] * 7
