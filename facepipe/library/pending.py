"""What a scan and the tables leave to do: whole columns compared, never row by row."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facepipe.errors import ErrorCode
from facepipe.library.scan_sources import resolve_sources
from facepipe.library.uris import path_to_uri
from facepipe.schemas import PENDING_PHOTO


@dataclass(frozen=True)
class Comparison:
    """A scan beside what is known.

    Attributes:
        seen: files listed, those with a status too.
        new: rows of `LISTED_FILE` to be read: never seen, changed, or failed and to be tried again. A row with a status
            has failed already and only awaits its row in `errors`.
        known: how many lie there as they did when they were last read, and were read well.
        failed_before: how many failed before and haven't changed.
        changed: uris whose rows in `files` no longer hold.
        cleared: uris whose rows in `errors` no longer hold: changed, to be tried again, or no longer there.
        missing: uris in `files` that lie under a source and are no longer there.
        returned: uris that were missing and are back as they were.
    """

    seen: int
    new: pa.Table
    known: int
    failed_before: int
    changed: pa.Array
    cleared: pa.Array
    missing: pa.Array
    returned: pa.Array


def compare_listing(
    listed: pa.Table,
    files: pa.Table,
    errors: pa.Table,
    sources: Sequence[str | Path],
    retry_failed: bool = False,
) -> Comparison:
    """Return what a scan shows to be new, changed, known, failed, missing or back.

    A file is recognised by uri, size and modification time. One that failed is tried again when size or time differ.

    Args:
        listed: rows of `LISTED_FILE`, each uri once.
        files: the table `files` (uri, bytes, modified_at, missing_since).
        errors: the table `errors` (uri, bytes, modified_at).
        sources: what was scanned: only what lies under them can be missing.
        retry_failed: also try again what failed and hasn't changed.
    """
    in_files, as_in_files = _recognise(listed, files)
    in_errors, as_in_errors = _recognise(listed, errors)
    unchanged_failure = pc.and_(in_errors, as_in_errors)
    unchanged_file = pc.and_(in_files, as_in_files)
    failed_before = pc.and_(unchanged_failure, not retry_failed)
    known = pc.and_(unchanged_file, pc.invert(failed_before))
    new = pc.and_(pc.invert(unchanged_file), pc.invert(failed_before))
    uris = listed["uri"]
    unseen = _lie_under(errors["uri"], listed, sources)
    gone = _lie_under(files["uri"], listed, sources)
    was_missing = files.filter(pc.is_valid(files["missing_since"]))["uri"]
    return Comparison(
        seen=listed.num_rows,
        new=listed.filter(new),
        known=_count(known),
        failed_before=_count(failed_before),
        changed=_whole(uris.filter(pc.and_(in_files, pc.invert(as_in_files)))),
        cleared=_whole(
            pa.chunked_array(
                [
                    *uris.filter(pc.and_(in_errors, pc.invert(failed_before))).chunks,
                    *errors["uri"].filter(unseen).chunks,
                ],
                pa.string(),
            )
        ),
        missing=_whole(files["uri"].filter(pc.and_(gone, pc.is_null(files["missing_since"])))),
        returned=_whole(was_missing.filter(_is_in(was_missing, uris.filter(unchanged_file)))),
    )


def pending_photos(
    files: pa.Table,
    photos: pa.Table,
    errors: pa.Table,
    retry_failed: bool = False,
) -> pa.Table:
    """Return the contents that await extraction, each once, with the file to read it from.

    A content is pending when it has no row in `photos` and lies in at least one file that is there and whose present
    content has no row in `errors`; of several such files the one with the smallest uri is read.

    Args:
        files: the table `files` (uri, photo_id, missing_since).
        photos: the table `photos` (photo_id).
        errors: the table `errors` (uri, photo_id).
        retry_failed: files with a row in `errors` count as well.

    Returns:
        Rows of `PENDING_PHOTO` in order of uri, their status empty.
    """
    wanted = pc.and_(pc.is_null(files["missing_since"]), pc.is_valid(files["photo_id"]))
    wanted = pc.and_(wanted, pc.invert(_is_in(files["photo_id"], photos["photo_id"])))
    if not retry_failed:
        position = _position(files["uri"], errors["uri"])
        failed = pc.equal(pc.take(errors["photo_id"], position), files["photo_id"])
        wanted = pc.and_(wanted, pc.invert(pc.fill_null(failed, False)))
    candidates = files.select(["photo_id", "uri"]).filter(wanted).sort_by("uri")
    first = candidates.group_by("photo_id", use_threads=False).aggregate([("uri", "first")])
    empty = pa.repeat(pa.scalar("", pa.string()), first.num_rows)
    pending = pa.table([first["photo_id"], first["uri_first"], empty, empty], schema=PENDING_PHOTO)
    return pending.sort_by("uri")


def _recognise(listed: pa.Table, known: pa.Table) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return for each listed row whether its uri is known, and whether size and time (or their absence) agree."""
    position = _position(listed["uri"], known["uri"])
    agree = pa.chunked_array([pa.repeat(True, listed.num_rows)])
    for column in ("bytes", "modified_at"):
        mine, theirs = listed[column], pc.take(known[column], position)
        both_absent = pc.and_(pc.is_null(mine), pc.is_null(theirs))
        agree = pc.and_(agree, pc.or_(both_absent, pc.fill_null(pc.equal(mine, theirs), False)))
    return pc.is_valid(position), agree


def _lie_under(uris: pa.ChunkedArray, listed: pa.Table, sources: Sequence[str | Path]) -> pa.ChunkedArray:
    """Return which uris lie in what was scanned and were not listed, though they'd have been if they were there."""
    under = _start_with(uris, [path_to_uri(root) for root in resolve_sources(sources)])
    unreadable = listed.filter(pc.equal(listed["status"], ErrorCode.UNREADABLE.value))["uri"].to_pylist()
    looked_into = pc.and_(under, pc.invert(_start_with(uris, unreadable)))
    return pc.and_(looked_into, pc.invert(_is_in(uris, listed["uri"])))


def _start_with(uris: pa.ChunkedArray, tops: Sequence[str]) -> pa.ChunkedArray:
    """Return which uris are one of some files or folders, or lie in one."""
    found = pa.chunked_array([pa.repeat(False, len(uris))])
    for top in tops:
        inside = pc.starts_with(uris, pattern=top.rstrip("/") + "/")
        found = pc.or_(found, pc.or_(inside, pc.equal(uris, top)))
    return found


def _position(values: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.index_in(_large(values), value_set=_whole(_large(known)))


def _is_in(values: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.is_in(_large(values), value_set=_whole(_large(known)))


def _large(strings: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return strings with 64-bit offsets: a hundred million uris in one array exceed 2 GiB."""
    return strings.cast(pa.large_string())


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)
