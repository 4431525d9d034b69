"""Files with the same bytes: which of them to keep, and why."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

Kind = Literal["exact", "near", "burst"]


class Copy(NamedTuple):
    """A file in a group of copies.

    Attributes:
        group_id: the same for all files of a group; of exact copies, their photo_id.
        uri: where the file lies.
        photo_id: SHA-256 of its bytes, hexadecimal.
        kind: how it is a copy.
        distance: from the group's keeper, 0 for the same bytes.
        keeper: whether it is the one to keep.
        reason: why it is the keeper, or what it is a copy of.
    """

    group_id: str
    uri: str
    photo_id: str
    kind: Kind
    distance: float
    keeper: bool
    reason: str


def group_exact_copies(uris: Sequence[str], photo_ids: Sequence[str], modified_at: Sequence[datetime]) -> list[Copy]:
    """Return the files of which there is more than one with the same bytes, group by group, each keeper first.

    The keeper is the oldest file; among equally old ones the one with the shortest uri (copies tend to lie deeper and
    to be called "copy of"), then the first in order of uri.

    Args:
        uris: one a file, each once.
        photo_ids: SHA-256 of each file's bytes.
        modified_at: when each file was last modified.

    Returns:
        Rows in order of group_id; within a group in the order in which they would be kept.
    """
    files: defaultdict[str, list[tuple[datetime, int, str]]] = defaultdict(list)
    for uri, photo_id, modified in zip(uris, photo_ids, modified_at, strict=True):
        files[photo_id].append((modified, len(uri), uri))
    return [
        copy
        for photo_id, members in sorted(files.items())
        if len(members) > 1
        for copy in _exact_group(photo_id, sorted(members))
    ]


def _exact_group(photo_id: str, members: Sequence[tuple[datetime, int, str]]) -> list[Copy]:
    keeper = members[0][2]
    why_kept = _why_first(members[0], members[1])
    return [
        Copy(
            photo_id,
            uri,
            photo_id,
            "exact",
            0.0,
            uri == keeper,
            why_kept if uri == keeper else f"same bytes as {keeper}",
        )
        for _, _, uri in members
    ]


def _why_first(first: tuple[datetime, int, str], second: tuple[datetime, int, str]) -> str:
    if first[0] < second[0]:
        return "oldest of the files with these bytes"
    if first[1] < second[1]:
        return "shortest path among the oldest files with these bytes"
    return "first by name among the oldest files with these bytes"
