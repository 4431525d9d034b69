"""What holds for every grouping, whatever the faces."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facepipe.clustering.grouping import Grouping, GroupingSettings, group_faces
from facepipe.clustering.knn import nearest_neighbors
from facepipe.clustering.mst import mutual_reachability

SETTINGS = GroupingSettings(neighbors=5, attach_distance=0.8)


@st.composite
def faces(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings (N, 6) with many equal distances and copies, their photos, and which of them vote."""
    count = draw(st.integers(0, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    corners = rng.integers(-1, 2, (max(1, count // 3), 6)).astype(np.float64)
    corners[:, 0] += 0.5  # never the zero vector
    vectors = corners[rng.integers(0, len(corners), count)]
    if draw(st.booleans()):
        vectors = vectors + 0.3 * rng.normal(size=vectors.shape)
    embeddings = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    photos = rng.integers(0, draw(st.integers(1, 24)), count)
    return embeddings, photos, rng.random(count) < draw(st.sampled_from([1.0, 0.7]))


def people_of(grouping: Grouping) -> set[frozenset[int]]:
    labels = grouping.labels
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in range(int(labels.max(initial=-1)) + 1)}


@given(faces(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_the_order_of_the_rows_does_not_matter(given_faces: tuple[np.ndarray, ...], random: object) -> None:
    embeddings, photos, votes = given_faces
    order = np.arange(len(embeddings))
    random.shuffle(order)  # type: ignore[attr-defined]
    before = group_faces(embeddings, photos, SETTINGS, votes)
    after = group_faces(embeddings[order], photos[order], SETTINGS, votes[order])
    # Faces alike in everything may swap places: faces are compared by what they are, not by which row they are.
    kinds = np.unique(np.column_stack([embeddings, photos, votes]), axis=0, return_inverse=True)[1].reshape(-1)

    def by_kind(grouping: Grouping, kind: np.ndarray) -> list[list[int]]:
        return sorted(sorted(kind[list(person)].tolist()) for person in people_of(grouping))

    assert by_kind(before, kinds) == by_kind(after, kinds[order])


@given(faces())
@settings(deadline=None, max_examples=50)
def test_every_person_is_on_two_photos_and_once_on_each(given_faces: tuple[np.ndarray, ...]) -> None:
    embeddings, photos, votes = given_faces
    grouping = group_faces(embeddings, photos, SETTINGS, votes)
    for person in people_of(grouping):
        their_photos = photos[list(person)].tolist()
        assert len(set(their_photos)) == len(their_photos) >= 2
        assert votes[list(person)].sum() >= 2
    firsts = [
        min(np.flatnonzero(grouping.labels == label)) for label in range(int(grouping.labels.max(initial=-1)) + 1)
    ]
    assert firsts == sorted(firsts)
    assert ((grouping.probabilities > 0) == (grouping.labels >= 0)).all()
    assert (grouping.probabilities <= 1).all()


@given(faces())
@settings(deadline=None, max_examples=50)
def test_renaming_photos_changes_nothing(given_faces: tuple[np.ndarray, ...]) -> None:
    embeddings, photos, votes = given_faces
    renamed = photos * 7 + 1000
    before, after = (group_faces(embeddings, index, SETTINGS, votes) for index in (photos, renamed))
    assert before.labels.tolist() == after.labels.tolist()


@given(faces(), st.integers(1, 30))
@settings(deadline=None, max_examples=50)
def test_a_neighbour_graph_is_simple_and_its_neighbours_are_the_nearest(
    given_faces: tuple[np.ndarray, ...], k: int
) -> None:
    embeddings, _, _ = given_faces
    count = len(embeddings)
    neighbors = nearest_neighbors(embeddings, k)
    assert neighbors.ids.shape == (count, max(0, min(k, count - 1)))
    assert all(
        row not in others and len(set(others)) == len(others) for row, others in enumerate(neighbors.ids.tolist())
    )
    assert (np.diff(neighbors.similarities, axis=1) <= 0).all()
    cosines = embeddings @ embeddings.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = -np.sort(-cosines, axis=1)[:, : neighbors.ids.shape[1]]
    assert np.allclose(neighbors.similarities, nearest, atol=1e-5)
    edges = mutual_reachability(neighbors)
    assert len(set(zip(edges.left.tolist(), edges.right.tolist(), strict=True))) == len(edges.left)
    assert (edges.left < edges.right).all()
