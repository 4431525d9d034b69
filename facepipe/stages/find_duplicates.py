"""Files become groups of copies: which photos to compare, what has been found, which files to keep."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facepipe import schemas
from facepipe.config import DecodeConfig
from facepipe.duplicates.candidates import candidate_pairs
from facepipe.duplicates.grouping import PhotoFile, Verdict, group_copies, keepers_of_copies
from facepipe.library.pending import pending_photos
from facepipe.stage import Stage
from facepipe.stages.compare_photos import ComparePhotos
from facepipe.stages.read_photos import ReadPhotos

METHOD = "pdq-31 motion-change-1"  # to be changed with whatever changes verdicts: all photos are then compared anew
PHOTO_COLUMNS = ("photo_id", "width", "height", "perceptual_hash")
MOST_PHOTOS = 16  # decoded at once, at 2048 px about 150 MB; also what travels together

Pairs = list[tuple[str, str]]


class Search(NamedTuple):
    """What is new to be compared.

    Attributes:
        rows: of `comparisons`: photos that have been searched, and the pairs found, not compared yet.
        stale: whether rows of another method lie in the table and must go first.
    """

    rows: pa.Table
    stale: bool


def compare_stages(decode: DecodeConfig) -> list[list[Stage]]:
    """Return the stages from photos with near hashes to verdicts."""
    return [[ReadPhotos(decode), ComparePhotos()]]


def search_copies(photos: pa.Table, comparisons: pa.Table) -> Search:
    """Return the pairs of photos with near hashes of which at least one has never been searched.

    Args:
        photos: rows of `photos` with PHOTO_COLUMNS; those without a hash are left out.
        comparisons: the table as it is.
    """
    current = comparisons.filter(pc.equal(comparisons["method"], METHOD))
    stale = len(current) < len(comparisons)
    hashed = photos.filter(pc.is_valid(photos["perceptual_hash"])).sort_by("photo_id")
    searched = current.filter(pc.is_null(current["other_id"]))["photo_id"]
    is_new = pc.invert(pc.is_in(hashed["photo_id"], value_set=pc.unique(searched))).to_numpy()
    photo_ids = hashed["photo_id"].combine_chunks()
    hashes = np.frombuffer(b"".join(hashed["perceptual_hash"].to_pylist()), np.uint8).reshape(len(hashed), -1)
    pairs = candidate_pairs(hashes, is_new)  # in order of photo_id, so the smaller id comes first
    found = [pc.take(photo_ids, pa.array(side)) for side in pairs.T]
    new = photo_ids.filter(pa.array(is_new))
    columns = {
        "photo_id": pa.chunked_array([found[0], new], pa.string()),
        "other_id": pa.chunked_array([found[1], pa.nulls(len(new), pa.string())], pa.string()),
        "kind": pa.nulls(len(pairs) + len(new), pa.string()),
        "difference": pa.nulls(len(pairs) + len(new), pa.float32()),
        "method": pa.repeat(METHOD, len(pairs) + len(new)),
    }
    return Search(pa.table(columns, schema=schemas.COMPARISONS), stale)


def photos_to_compare(files: pa.Table, comparisons: pa.Table, library: str = "") -> list[pa.Table]:
    """Return photos to decode, in batches that hold both photos of every pair that awaits its comparison.

    A pair of which a photo can't be read any more, since no file or packed copy is there, waits until it can.

    Args:
        files: the table `files`.
        comparisons: the table as it is.
        library: the URI that places of packed copies are relative to.

    Returns:
        Rows of `PENDING_PHOTO` with `TO_COMPARE`. A photo may be in several batches.
    """
    nothing = schemas.PHOTOS.empty_table(), schemas.ERRORS.empty_table()
    readable = pending_photos(files, *nothing, library=library).sort_by("photo_id")
    pairs = _open_pairs(comparisons, set(pc.unique(readable["photo_id"]).to_pylist()))
    batches = []
    for batch in _batches(pairs):
        wanted: defaultdict[str, list[str]] = defaultdict(list)
        for first, second in batch:
            wanted[first].append(second)
        photo_ids = sorted({photo_id for pair in batch for photo_id in pair})
        rows = readable.take(pc.index_in(pa.array(photo_ids), readable["photo_id"].combine_chunks()))
        others = pa.array([wanted[photo_id] for photo_id in photo_ids], schemas.TO_COMPARE.field(0).type)
        batches.append(rows.append_column(schemas.TO_COMPARE.field(0), others))
    return batches


def comparison_rows(compared: pa.Table) -> pa.Table:
    """Return the rows of `comparisons` for compared photos; what could not be compared awaits the next time."""
    others = compared["compare_with"].combine_chunks()
    photo_ids = pc.take(compared["photo_id"], pc.list_parent_indices(others))
    columns = {
        "photo_id": photo_ids,
        "other_id": others.flatten(),
        "kind": pc.list_flatten(compared["kinds"]),
        "difference": pc.list_flatten(compared["differences"]),
        "method": pa.repeat(METHOD, len(photo_ids)),
    }
    rows = pa.table(columns, schema=schemas.COMPARISONS)
    return rows.filter(pc.is_valid(rows["kind"]))


def find_duplicates(files: pa.Table, photos: pa.Table, comparisons: pa.Table) -> pa.Table:
    """Return the rows of `duplicates`: each present file that is a copy of another one, and what it is a copy of.

    Args:
        files: the table `files`.
        photos: rows of `photos` with PHOTO_COLUMNS.
        comparisons: the table as it is.
    """
    verdicts = _verdicts(comparisons)
    copies = group_copies(_photo_files(files, photos, verdicts), verdicts)
    return pa.Table.from_pylist([copy._asdict() for copy in copies], schema=schemas.DUPLICATES)


def find_keepers(files: pa.Table, photos: pa.Table, comparisons: pa.Table) -> dict[str, str]:
    """Return the keeper's photo_id for each photo that is a copy of another one, its file being there or gone.

    Args:
        files: the table `files`.
        photos: rows of `photos` with PHOTO_COLUMNS.
        comparisons: the table as it is.
    """
    verdicts = _verdicts(comparisons)
    return keepers_of_copies(_photo_files(files, photos, verdicts), verdicts)


def _open_pairs(comparisons: pa.Table, readable: set[str]) -> Pairs:
    """Return the pairs that were found and have no verdict, and can be compared now, in order."""
    rows = comparisons.filter(pc.and_(pc.equal(comparisons["method"], METHOD), pc.is_valid(comparisons["other_id"])))
    found = zip(*(rows[name].to_pylist() for name in ("photo_id", "other_id", "kind")), strict=True)
    is_open: dict[tuple[str, str], bool] = {}
    for first, second, kind in found:
        if first in readable and second in readable:
            is_open[first, second] = is_open.get((first, second), True) and kind is None
    return sorted(pair for pair, waits in is_open.items() if waits)


def _batches(pairs: Pairs) -> Iterator[Pairs]:
    """Yield the pairs in batches of MOST_PHOTOS photos at most.

    Photos that hang together through pairs stay together as far as they fit: then each is decoded once.
    """
    batch: Pairs = []
    photos: set[str] = set()
    for part in _parts(pairs):
        more = {photo_id for pair in part for photo_id in pair}
        if len(photos | more) > MOST_PHOTOS:
            yield batch
            batch, photos = [], set()
        batch += part
        photos |= more
    if batch:
        yield batch


def _parts(pairs: Pairs) -> Iterator[Pairs]:
    """Yield pairs that belong together: all of a small component, of a large one those of one photo at a time."""
    for component in _components(pairs):
        if len({photo_id for pair in component for photo_id in pair}) <= MOST_PHOTOS:
            yield component
            continue
        of_photo: defaultdict[str, Pairs] = defaultdict(list)
        for pair in component:
            of_photo[pair[0]].append(pair)
        for own in of_photo.values():
            yield from (own[start : start + MOST_PHOTOS - 1] for start in range(0, len(own), MOST_PHOTOS - 1))


def _components(pairs: Pairs) -> Iterator[Pairs]:
    """Yield the pairs of each connected component, in order of their first pairs."""
    if not pairs:
        return
    photos, places = np.unique(np.array(pairs), return_inverse=True)
    first, second = places.reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (first, second)), shape=(len(photos), len(photos)))
    _, component = connected_components(graph, directed=False)
    members: defaultdict[int, Pairs] = defaultdict(list)
    for pair, number in zip(pairs, component[first].tolist(), strict=True):
        members[number].append(pair)
    yield from members.values()


def _verdicts(comparisons: pa.Table) -> dict[tuple[str, str], Verdict]:
    """Return the pairs that are copies."""
    is_copy = pc.is_in(comparisons["kind"], value_set=pa.array(["exact", "near"]))
    rows = comparisons.filter(pc.and_(is_copy, pc.equal(comparisons["method"], METHOD)))
    columns = (rows[name].to_pylist() for name in ("photo_id", "other_id", "kind", "difference"))
    return {
        (first, second): Verdict(kind, difference) for first, second, kind, difference in zip(*columns, strict=True)
    }


def _photo_files(files: pa.Table, photos: pa.Table, pairs: Iterable[tuple[str, str]]) -> list[PhotoFile]:
    """Return the files of photos that are in pairs or in several files; a photo without any file gets a gone one."""
    counts = files["photo_id"].value_counts()
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist()
    wanted = pa.array(sorted({*repeated, *(photo_id for pair in pairs for photo_id in pair)}), pa.string())
    of_photos = photos.filter(pc.is_in(photos["photo_id"], value_set=wanted))
    sizes = zip(*(of_photos[name].to_pylist() for name in ("photo_id", "width", "height")), strict=True)
    pixels = {photo_id: width * height for photo_id, width, height in sizes}
    rows = files.filter(pc.is_in(files["photo_id"], value_set=wanted))
    found = [
        PhotoFile(
            uri=row["uri"],
            photo_id=row["photo_id"],
            pixels=pixels.get(row["photo_id"], 0),
            bytes=row["bytes"] or 0,
            modified_at=row["modified_at"],
            missing=row["missing_since"] is not None,
        )
        for row in rows.select(["uri", "photo_id", "bytes", "modified_at", "missing_since"]).to_pylist()
    ]
    without = pixels.keys() - {file.photo_id for file in found}
    long_ago = datetime.fromtimestamp(0, UTC)
    return found + [
        PhotoFile("", photo_id, pixels[photo_id], 0, long_ago, missing=True) for photo_id in sorted(without)
    ]
