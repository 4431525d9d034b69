"""What the photos forbid and demand: faces of one photo are different people, a person is on two photos or more."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def cannot_link(photo_index: Ints) -> npt.NDArray[np.bool_]:
    """Return which pairs of faces can't be one person, since they are in one photo.

    Args:
        photo_index: (N,) int64, the photo of each face.

    Returns:
        (N, N) bool, symmetric; false on the diagonal.
    """
    forbidden: npt.NDArray[np.bool_] = photo_index[:, None] == photo_index[None, :]  # (N, N)
    np.fill_diagonal(forbidden, val=False)
    return forbidden


def without_single_photo_groups(labels: Ints, photo_index: Ints, least_photos: int = 2) -> Ints:
    """Return the labels with -1 for every face whose group is on too few different photos.

    Args:
        labels: (N,) int64 groups, -1 for none.
        photo_index: (N,) int64, the photo of each face.
        least_photos: how many different photos make a person.
    """
    if not len(labels):
        return labels.copy()
    group_of_photo = np.unique(np.stack([labels, photo_index], axis=1), axis=0)[:, 0]  # one entry a group and photo
    groups, photos = np.unique(group_of_photo, return_counts=True)
    return np.where(np.isin(labels, groups[(photos >= least_photos) & (groups >= 0)]), labels, -1)


def numbered_by_first_face(labels: Ints) -> Ints:
    """Return the same groups numbered 0, 1, 2 … in order of their first row; -1 stays."""
    assigned = labels >= 0
    _, first, inverse = np.unique(labels[assigned], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbered = np.full(len(labels), -1, np.int64)
    numbered[assigned] = rank[inverse]
    return numbered
