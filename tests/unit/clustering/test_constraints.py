import numpy as np
import pytest

from facepipe.clustering.constraints import numbered_by_first_face, shared_photos, without_single_photo_groups


@pytest.mark.parametrize("seed", range(5))
def test_groups_that_share_a_photo_are_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups, photos = rng.integers(0, 10, 40), rng.integers(0, 25, 40)
    first, second = rng.permutation(10).reshape(2, 5)
    # Two faces of one photo inside a group are there because a user bound them, and forbid nothing.
    slow = [bool(set(photos[groups == a]) & set(photos[groups == b])) for a, b in zip(first, second, strict=True)]
    assert shared_photos(groups, photos, first, second).tolist() == slow, seed


def test_no_pairs_share_nothing() -> None:
    none = np.zeros(0, np.int64)
    assert shared_photos(np.array([0, 1]), np.array([5, 5]), none, none).tolist() == []


def test_a_group_on_one_photo_is_nobody() -> None:
    labels = np.array([0, 0, 1, 1, -1, -1, 2])
    photos = np.array([1, 1, 1, 2, 3, 4, 5])
    assert without_single_photo_groups(labels, photos).tolist() == [-1, -1, 1, 1, -1, -1, -1]
    assert without_single_photo_groups(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_groups_are_numbered_by_their_first_face() -> None:
    assert numbered_by_first_face(np.array([7, -1, 3, 7, 5])).tolist() == [0, -1, 1, 0, 2]
    assert numbered_by_first_face(np.array([-1, -1])).tolist() == [-1, -1]
