"""What a scan and the tables leave to do: whole columns compared, never row by row."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facepipe.errors import ErrorCode
from facepipe.schemas import PENDING_PHOTO
from facepipe.sources.scan_archives import path_inside
from facepipe.sources.scan_sources import resolve_sources
from facepipe.sources.selection import EVERYTHING, Selection
from facepipe.sources.uris import path_to_uri, split_uri, uri_to_path


@dataclass(frozen=True)
class Comparison:
    """A scan beside what is known.

    Attributes:
        seen: files listed, those with a status too, those beyond the limit left out.
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
    selection: Selection = EVERYTHING,
    limit: int | None = None,
) -> Comparison:
    """Return what a scan shows to be new, changed, known, failed, missing or back.

    A file is recognised by uri, size and modification time; where the listing doesn't know the size, by the time alone.
    One that failed is tried again when size or time differ.

    Args:
        listed: rows of `LISTED_FILE`, each uri once.
        files: the table `files` (uri, bytes, modified_at, missing_since, packed).
        errors: the table `errors` (uri, bytes, modified_at).
        sources: what was scanned: only what lies under them can be missing.
        retry_failed: also try again what failed and hasn't changed.
        selection: what of the sources was looked at: nothing else can be missing.
        limit: the most new files; for those beyond it all stays as it is, as if they had not been seen.
    """
    in_files, as_in_files = _recognise(listed, files)
    in_errors, as_in_errors = _recognise(listed, errors)
    unchanged_failure = pc.and_(in_errors, as_in_errors)
    unchanged_file = pc.and_(in_files, as_in_files)
    failed_before = pc.and_(unchanged_failure, not retry_failed)
    known = pc.and_(unchanged_file, pc.invert(failed_before))
    new = pc.and_(pc.invert(unchanged_file), pc.invert(failed_before))
    uris = listed["uri"]
    new_rows = listed.filter(new)
    beyond = new_rows["uri"].slice(len(new_rows) if limit is None else limit)
    seen = pc.invert(_is_in(uris, beyond))
    packed = files["uri"].filter(pc.is_valid(files["packed"]))
    unseen = pc.and_(_lie_under(errors["uri"], listed, sources, selection), pc.invert(_is_in(errors["uri"], packed)))
    gone = _lie_under(files["uri"], listed, sources, selection)
    was_missing = files.filter(pc.is_valid(files["missing_since"]))["uri"]
    cleared = uris.filter(pc.and_(seen, pc.and_(in_errors, pc.invert(failed_before))))
    return Comparison(
        seen=_count(seen),
        new=new_rows.slice(0, limit),
        known=_count(known),
        failed_before=_count(failed_before),
        changed=_whole(uris.filter(pc.and_(seen, pc.and_(in_files, pc.invert(as_in_files))))),
        cleared=_whole(pa.chunked_array([*cleared.chunks, *errors["uri"].filter(unseen).chunks], pa.string())),
        missing=_whole(files["uri"].filter(pc.and_(gone, pc.is_null(files["missing_since"])))),
        returned=_whole(was_missing.filter(_is_in(was_missing, uris.filter(unchanged_file)))),
    )


def pending_photos(
    files: pa.Table,
    photos: pa.Table,
    errors: pa.Table,
    retry_failed: bool = False,
    library: str = "",
) -> pa.Table:
    """Return the contents that await extraction, each once, with the file to read it from.

    A content is pending when it has no row in `photos` and lies in at least one file that is there, or is packed, and
    whose present content has no row in `errors`. It is read from a packed copy where there is one; of several files
    alike, from the one with the smallest uri.

    Args:
        files: the table `files` (uri, photo_id, missing_since, packed).
        photos: the table `photos` (photo_id).
        errors: the table `errors` (uri, photo_id).
        retry_failed: files with a row in `errors` count as well.
        library: the URI that places of packed copies are relative to.

    Returns:
        Rows of `PENDING_PHOTO` in the order in which they lie in files and archives, their status empty.
    """
    packed = pc.is_valid(files["packed"])
    wanted = pc.and_(pc.or_(pc.is_null(files["missing_since"]), packed), pc.is_valid(files["photo_id"]))
    wanted = pc.and_(wanted, pc.invert(_is_in(files["photo_id"], photos["photo_id"])))
    if not retry_failed:
        position = _position(files["uri"], errors["uri"])
        failed = pc.equal(pc.take(errors["photo_id"], position), files["photo_id"])
        wanted = pc.and_(wanted, pc.invert(pc.fill_null(failed, False)))
    read_from = pc.coalesce(pc.binary_join_element_wise(f"{library}/", files["packed"], ""), files["uri"])
    columns = {
        "photo_id": files["photo_id"],
        "uri": files["uri"],
        "read_from": read_from,
        "unpacked": pc.invert(packed),
    }
    candidates = pa.table(columns).filter(wanted).sort_by([("unpacked", "ascending"), ("uri", "ascending")])
    first = candidates.group_by("photo_id", use_threads=False).aggregate([("uri", "first"), ("read_from", "first")])
    empty = pa.repeat(pa.scalar("", pa.string()), first.num_rows)
    chosen = [first["photo_id"], first["uri_first"], first["read_from_first"], empty, empty]
    return _in_order_of_places(pa.table(chosen, schema=PENDING_PHOTO))


def _in_order_of_places(pending: pa.Table) -> pa.Table:
    """Sort by the file that is read and the row in it, by number: neighbours in a Parquet file cost one read."""
    parts = pc.extract_regex(pending["read_from"], r"^(?P<file>[^#]*)#(?P<row>[0-9]{1,18})$")
    keys = pa.table(
        {
            "file": pc.coalesce(pc.struct_field(parts, "file"), pending["read_from"]),
            "row": pc.struct_field(parts, "row").cast(pa.int64()),
        }
    )
    return pending.take(pc.sort_indices(keys, sort_keys=[("file", "ascending"), ("row", "ascending")]))


def _recognise(listed: pa.Table, known: pa.Table) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return for each listed row whether its uri is known, and whether size and time (or their absence) agree."""
    position = _position(listed["uri"], known["uri"])
    agree = pa.chunked_array([pa.repeat(True, listed.num_rows)])
    for column in ("bytes", "modified_at"):
        mine, theirs = listed[column], pc.take(known[column], position)
        absent = pc.and_(pc.is_null(mine), pc.is_null(theirs))
        if column == "bytes":  # of a row in a Parquet file only the time is known
            absent = pc.or_(absent, pc.and_(pc.is_null(mine), pc.is_valid(listed["modified_at"])))
        agree = pc.and_(agree, pc.or_(absent, pc.fill_null(pc.equal(mine, theirs), False)))
    return pc.is_valid(position), agree


def _lie_under(
    uris: pa.ChunkedArray, listed: pa.Table, sources: Sequence[str | Path], selection: Selection
) -> pa.ChunkedArray:
    """Return which uris lie in what was scanned and were not listed, though they'd have been if they were there."""
    roots = resolve_sources(sources)
    under = _start_with(uris, [path_to_uri(root) for root in roots])
    # A folder that couldn't be read, an archive that couldn't be read to its end: who knows what is in them.
    opaque = pc.invert(pc.is_in(listed["status"], value_set=pa.array(["", ErrorCode.VANISHED.value])))
    looked_into = pc.and_(under, pc.invert(_start_with(uris, listed["uri"].filter(opaque).to_pylist())))
    unlisted = pc.and_(looked_into, pc.invert(_is_in(uris, listed["uri"])))
    if selection.takes_all:
        return unlisted
    left_out = [uri for uri in uris.filter(unlisted).to_pylist() if not _is_selected(uri, roots, selection)]
    return pc.and_(unlisted, pc.invert(_is_in(uris, pa.chunked_array([left_out], pa.string()))))


def _is_selected(uri: str, roots: Sequence[Path], selection: Selection) -> bool:
    shard, entry = split_uri(uri)
    path = uri_to_path(shard)
    inside = [] if entry is None else [path_inside(entry)]
    for root in roots:
        if path.is_relative_to(root):
            below = [path.name] if path == root else [str(path.relative_to(root))]
            if selection.takes("/".join(below + inside)):
                return True
    return False


def _start_with(uris: pa.ChunkedArray, tops: Sequence[str]) -> pa.ChunkedArray:
    """Return which uris are one of some files, folders or archives, or lie in one."""
    found = pa.chunked_array([pa.repeat(False, len(uris))])
    for top in tops:
        inside = pc.or_(pc.starts_with(uris, pattern=top.rstrip("/") + "/"), pc.starts_with(uris, pattern=f"{top}#"))
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
