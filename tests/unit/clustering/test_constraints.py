import numpy as np
import pytest

from facepipe.clustering.constraints import PhotosOfGroups, numbered_by_first_face, without_single_photo_groups


@pytest.mark.parametrize("seed", range(5))
def test_groups_that_share_a_photo_are_found_however_they_came_about(seed: int) -> None:
    rng = np.random.default_rng(seed)
    photos = rng.integers(0, 60, 40)
    groups = np.minimum(np.arange(40), rng.integers(0, 60, 40))  # some with another, most alone
    groups = groups[groups]
    of_groups = PhotosOfGroups(photos, groups)
    for _ in range(6):
        names = rng.permutation(np.unique(groups))
        first, second = names[: len(names) // 2 * 2].reshape(2, -1)
        slow = [bool(set(photos[groups == a]) & set(photos[groups == b])) for a, b in zip(first, second, strict=True)]
        assert of_groups.shared(first, second).tolist() == slow, seed
        of_groups.unite(first[:3], second[:3])
        for a, b in zip(first[:3], second[:3], strict=True):
            groups[groups == b] = a


def test_a_group_on_one_photo_is_nobody() -> None:
    labels = np.array([0, 0, 1, 1, -1, -1, 2])
    photos = np.array([1, 1, 1, 2, 3, 4, 5])
    assert without_single_photo_groups(labels, photos).tolist() == [-1, -1, 1, 1, -1, -1, -1]
    assert without_single_photo_groups(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_groups_are_numbered_by_their_first_face() -> None:
    assert numbered_by_first_face(np.array([7, -1, 3, 7, 5])).tolist() == [0, -1, 1, 0, 2]
    assert numbered_by_first_face(np.array([-1, -1])).tolist() == [-1, -1]
