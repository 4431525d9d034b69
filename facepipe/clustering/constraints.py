"""What photos and users forbid and demand.

Two faces in one photo are two people, and a person is on two photos or more; what a user has said goes before both.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Known(NamedTuple):
    """What is known beforehand of N faces, from users' decisions.

    Attributes:
        owners: (N,) int64, the person that a face is known to be, by number; -1: nobody in particular. An owner's faces
            are in one group whatever else holds; those of different owners never are.
        barred: (B, 2) int64, face and owner that are not in one group.
    """

    owners: Ints
    barred: Ints

    def of(self, rows: Ints) -> "Known":
        """Return what is known of some of the faces (M,), in their order."""
        place = np.full(len(self.owners), -1)
        place[rows] = np.arange(len(rows))
        faces, owners = place[self.barred[:, 0]], self.barred[:, 1]
        return Known(self.owners[rows], np.stack([faces, owners], axis=1)[faces >= 0])


def nothing_known(count: int) -> Known:
    """Return that nothing is known of so many faces."""
    return Known(np.full(count, -1, np.int64), np.zeros((0, 2), np.int64))


def owned_groups(owners: Ints) -> Ints:
    """Return each face's group (N,), named by its smallest row, when only what has one owner is together."""
    groups = np.arange(len(owners))
    owned = np.flatnonzero(owners >= 0)
    _, first, inverse = np.unique(owners[owned], return_index=True, return_inverse=True)
    groups[owned] = owned[first][inverse]
    return groups


def barred_pairs(groups: Ints, owners: Ints, known: Known, first: Ints, second: Ints) -> Bools:
    """Return which pairs of groups users keep apart: different owners, or a face barred from the other's owner.

    Args:
        groups: (N,) int64, the group of each face, named by one of the N rows.
        owners: (N,) int64, in the rows that name groups: whose group it is; -1: nobody's.
        known: of the N faces.
        first: (P,) int64 groups.
        second: (P,) int64.

    Returns:
        (P,) bool.
    """
    of_first, of_second = owners[first], owners[second]
    barred: Bools = (of_first >= 0) & (of_second >= 0) & (of_first != of_second)
    if len(known.barred):
        width = int(max(known.owners.max(initial=0), known.barred[:, 1].max())) + 1
        keys = groups[known.barred[:, 0]] * width + known.barred[:, 1]
        for group, owner in ((first, of_second), (second, of_first)):
            barred |= (owner >= 0) & np.isin(group * width + owner, keys)
    return barred


class PhotosOfGroups:
    """Which photos groups are on, as they merge: two with faces of one photo can't be one person.

    Args:
        photo_index: (N,) int64, the photo of each face.
        groups: (N,) int64, the group of each face at the start, named by one of its rows.
    """

    def __init__(self, photo_index: Ints, groups: Ints) -> None:
        self._photo_index = photo_index
        self._photos: dict[int, set[int]] = {}  # of groups of several faces
        for face in np.flatnonzero(groups != np.arange(len(groups))).tolist():
            group = int(groups[face])
            self._photos.setdefault(group, {int(photo_index[group])}).add(int(photo_index[face]))

    def shared(self, first: Ints, second: Ints) -> Bools:
        """Return which pairs of groups (P,) are on one photo together."""
        pairs = zip(first.tolist(), second.tolist(), strict=True)
        return np.fromiter((not self._of(a).isdisjoint(self._of(b)) for a, b in pairs), np.bool_, len(first))

    def unite(self, first: Ints, second: Ints) -> None:
        """Let each first group take up the second one of its pair."""
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            small, large = sorted((self._of(a), self._of(b)), key=len)
            large |= small
            self._photos[a] = large
            self._photos.pop(b, None)

    def _of(self, group: int) -> set[int]:
        return self._photos.get(group) or {int(self._photo_index[group])}


def without_single_photo_groups(
    labels: Ints, photo_index: Ints, kept: Collection[int] = (), least_photos: int = 2
) -> Ints:
    """Return the labels with -1 for every face whose group is on too few different photos.

    Args:
        labels: (N,) int64 groups, -1 for none.
        photo_index: (N,) int64, the photo of each face.
        kept: groups that stay whatever they are.
        least_photos: how many different photos make a person.
    """
    if not len(labels):
        return labels.copy()
    group_of_photo = np.unique(np.stack([labels, photo_index], axis=1), axis=0)[:, 0]  # one entry a group and photo
    groups, photos = np.unique(group_of_photo, return_counts=True)
    stay = (photos >= least_photos) | np.isin(groups, list(kept))
    return np.where(np.isin(labels, groups[stay & (groups >= 0)]), labels, -1)


def numbered_by_first_face(labels: Ints) -> Ints:
    """Return the same groups numbered 0, 1, 2 … in order of their first row; -1 stays."""
    assigned = labels >= 0
    _, first, inverse = np.unique(labels[assigned], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbered = np.full(len(labels), -1, np.int64)
    numbered[assigned] = rank[inverse]
    return numbered
