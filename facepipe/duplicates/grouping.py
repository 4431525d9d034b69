"""Groups of copies, of which every two are copies of one another; which file to keep, and why."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

Kind = Literal["exact", "near", "burst"]


class PhotoFile(NamedTuple):
    """A file, with what decides whether to keep it.

    Attributes:
        uri: where it lies.
        photo_id: SHA-256 of its bytes, hexadecimal.
        pixels: of the photo in full; 0 where it could not be decoded.
        bytes: size of the file.
        modified_at: when it was last modified.
        missing: whether it has gone.
    """

    uri: str
    photo_id: str
    pixels: int
    bytes: int
    modified_at: datetime
    missing: bool = False


class Verdict(NamedTuple):
    """What a comparison of two photos has found.

    Attributes:
        kind: exact for the same pixels, near for copies that differ.
        difference: 0 for the same pixels, up to 1.
    """

    kind: Kind
    difference: float


class Copy(NamedTuple):
    """A file in a group of copies.

    Attributes:
        group_id: the same for all files of a group: the smallest photo_id of its photos.
        uri: where the file lies.
        photo_id: SHA-256 of its bytes, hexadecimal.
        kind: how it is a copy of the keeper; exact: the same bytes or pixels. The keeper itself is near where any
            other file of its group is, so that the near copies of a library are listed with what they are copies of.
        distance: from the group's keeper, 0 for the same bytes or pixels, 1 the most that a copy may differ.
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


Verdicts = Mapping[tuple[str, str], Verdict]


def group_copies(files: Sequence[PhotoFile], verdicts: Verdicts) -> list[Copy]:
    """Return the present files of which there are copies, group by group, each keeper first.

    The keeper is a file with the most pixels, among those the one with most bytes (least compressed), then the oldest,
    then the one with the shortest uri (copies tend to lie deeper and to be called "copy of"), then the first by uri.

    Args:
        files: each uri once.
        verdicts: pairs of photo_ids, the smaller first, that are copies; pairs that are not, or weren't compared, are
            left out.

    Returns:
        Rows in order of group_id; within a group in the order in which they would be kept.
    """
    ranked = sorted(files, key=_rank)
    files_of: defaultdict[str, list[PhotoFile]] = defaultdict(list)
    for file in ranked:
        if not file.missing:
            files_of[file.photo_id].append(file)
    rows: list[Copy] = []
    for group in sorted(_photo_groups(ranked, verdicts), key=min):
        members = sorted((file for photo_id in group for file in files_of[photo_id]), key=_rank)
        if len(members) > 1:
            rows += _rows(members, verdicts)
    return rows


def keepers_of_copies(files: Sequence[PhotoFile], verdicts: Verdicts) -> dict[str, str]:
    """Return the keeper's photo_id for each photo that is a copy of another photo; gone files count too.

    A copy whose file was deleted stays a copy: its faces are still in the library.

    Args:
        files: each uri once, gone ones among them.
        verdicts: as for `group_copies`.
    """
    groups = _photo_groups(sorted(files, key=_rank), verdicts)
    return {photo_id: group[0] for group in groups for photo_id in group[1:]}


def _rank(file: PhotoFile) -> tuple[bool, int, int, datetime, int, str]:
    """Return what orders files, those to keep first."""
    return file.missing, -file.pixels, -file.bytes, file.modified_at, len(file.uri), file.uri


def _photo_groups(ranked: Sequence[PhotoFile], verdicts: Verdicts) -> list[list[str]]:
    """Return photos in groups of which every two are copies, each photo in one group, the best photo first.

    The best photo that is left starts a group, and takes up the next best that are copies of all that are in it: a
    chain of photos, each like the next, never becomes a group.
    """
    alike: defaultdict[str, set[str]] = defaultdict(set)
    for first, second in verdicts:
        alike[first].add(second)
        alike[second].add(first)
    rank = {photo_id: place for place, photo_id in enumerate(dict.fromkeys(file.photo_id for file in ranked))}
    grouped: set[str] = set()
    groups = []
    for photo_id in rank:
        if photo_id not in grouped:
            group = _largest_first(
                photo_id, [other for other in alike[photo_id] if other in rank], grouped, rank, alike
            )
            grouped.update(group)
            groups.append(group)
    return groups


def _largest_first(
    first: str,
    others: Collection[str],
    grouped: Collection[str],
    rank: Mapping[str, int],
    alike: Mapping[str, Collection[str]],
) -> list[str]:
    group = [first]
    for other in sorted(others, key=rank.__getitem__):
        if other not in grouped and all(other in alike[member] for member in group):
            group.append(other)
    return group


def _rows(members: Sequence[PhotoFile], verdicts: Verdicts) -> list[Copy]:
    """Return the rows of a group, given its files in order of rank."""
    keeper = members[0]
    group_id = min(file.photo_id for file in members)
    found = [_verdict(file, keeper, verdicts) for file in members]
    loosest: Kind = "near" if any(verdict.kind == "near" for verdict in found) else "exact"
    rows = [Copy(group_id, keeper.uri, keeper.photo_id, loosest, 0.0, True, _why_kept(keeper, members[1]))]
    rows += [
        Copy(
            group_id,
            file.uri,
            file.photo_id,
            verdict.kind,
            verdict.difference,
            False,
            _why_a_copy(file, keeper, verdict),
        )
        for file, verdict in zip(members[1:], found[1:], strict=True)
    ]
    return rows


def _verdict(file: PhotoFile, keeper: PhotoFile, verdicts: Verdicts) -> Verdict:
    if file.photo_id == keeper.photo_id:
        return Verdict("exact", 0.0)
    return verdicts[min(file.photo_id, keeper.photo_id), max(file.photo_id, keeper.photo_id)]


def _why_kept(first: PhotoFile, second: PhotoFile) -> str:
    if first.photo_id == second.photo_id:
        among = "files with these bytes"
    elif first.pixels > second.pixels:
        return "most pixels of these copies"
    elif first.bytes > second.bytes:
        return "least compressed of the largest copies"
    else:
        among = "copies of this size"
    if first.modified_at < second.modified_at:
        return f"oldest of the {among}"
    if len(first.uri) < len(second.uri):
        return f"shortest path among the oldest {among}"
    return f"first by name among the oldest {among}"


def _why_a_copy(file: PhotoFile, keeper: PhotoFile, verdict: Verdict) -> str:
    if file.photo_id == keeper.photo_id:
        return f"same bytes as {keeper.uri}"
    if verdict.kind == "exact":
        return f"same pixels as {keeper.uri}"
    if file.pixels < keeper.pixels:
        return f"smaller copy of {keeper.uri}"
    return f"copy of {keeper.uri}, compressed again"
