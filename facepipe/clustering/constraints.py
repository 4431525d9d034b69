"""What the photos forbid and demand: faces of one photo are different people, a person is on two photos or more."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def shared_photos(groups: Ints, photo_index: Ints, first: Ints, second: Ints) -> npt.NDArray[np.bool_]:
    """Return which pairs of groups hold faces of one photo, and so can't be one person.

    Args:
        groups: (N,) int64, the group of each face, named by one of the N rows.
        photo_index: (N,) int64, the photo of each face.
        first: (P,) int64 groups; no group is in two pairs.
        second: (P,) int64.

    Returns:
        (P,) bool.
    """
    pair_of = np.full(len(groups), -1)
    pair_of[first] = pair_of[second] = np.arange(len(first))
    pairs = pair_of[groups]
    members = np.flatnonzero(pairs >= 0)
    order = members[np.lexsort((photo_index[members], pairs[members]))]
    same = (pairs[order][1:] == pairs[order][:-1]) & (photo_index[order][1:] == photo_index[order][:-1])
    shared = np.zeros(len(first), np.bool_)
    shared[pairs[order[1:][same]]] = True
    return shared


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
