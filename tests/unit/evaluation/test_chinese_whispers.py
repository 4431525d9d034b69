import numpy as np
import pytest

from facepipe.evaluation.chinese_whispers import MOST_PASSES, chinese_whispers


def random_faces(seed: int, count: int = 60, dimension: int = 6) -> np.ndarray:
    faces = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    return faces


def slow_chinese_whispers(embeddings: np.ndarray, distance: float, seed: int) -> list[int]:
    """dlib's rule, face by face, with the same order of faces."""
    rng = np.random.default_rng(seed)
    labels: list[int] = rng.permutation(len(embeddings)).tolist()
    near = [
        [other for other in range(len(embeddings)) if np.linalg.norm(embeddings[face] - embeddings[other]) < distance]
        for face in range(len(embeddings))
    ]
    connected = [face for face in range(len(embeddings)) if len(near[face]) > 1]
    for _ in range(MOST_PASSES):
        before = list(labels)
        for face in rng.permutation(connected).tolist():
            votes = [labels[other] for other in near[face]]
            labels[face] = min(set(votes), key=lambda label: (-votes.count(label), label))
        if labels == before:
            break
    return labels


@pytest.mark.parametrize("seed", range(12))
def test_labels_equal_the_rule_face_by_face(seed: int) -> None:
    embeddings = random_faces(seed)
    for distance in (0.5, 0.7, 0.9):
        assert chinese_whispers(embeddings, distance, seed).tolist() == slow_chinese_whispers(
            embeddings, distance, seed
        )


@pytest.mark.parametrize("seed", range(5))
def test_at_the_end_every_face_agrees_with_most_of_its_neighbours(seed: int) -> None:
    embeddings = random_faces(seed, count=300)
    labels = chinese_whispers(embeddings, 0.6, seed)
    for face in range(len(embeddings)):
        around = labels[np.linalg.norm(embeddings - embeddings[face], axis=1) < 0.6]
        assert (around == labels[face]).sum() == np.bincount(around).max(), (seed, face)


def test_the_seed_decides() -> None:
    embeddings = random_faces(0, count=300)
    one, again, other = (chinese_whispers(embeddings, 0.7, seed) for seed in (1, 1, 2))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()
