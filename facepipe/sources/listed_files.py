"""A listing's rows: where a photo lies, how large it is and when it changed."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from facepipe.errors import ErrorCode
from facepipe.schemas import LISTED_FILE
from facepipe.sources.uris import path_to_uri

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)
_ROWS_AT_ONCE = 65_536


class ListedFile(NamedTuple):
    """A place where a photo lies, or a place that could not be looked into.

    Attributes:
        uri: `file://`, percent-encoded; `….tar#member`, `….parquet#row`.
        bytes: size; None where the listing failed, or doesn't say.
        modified_at: UTC, whole microseconds; of the archive, for what lies in one. None where the listing failed.
        status: empty, or an `ErrorCode`.
        message: what went wrong, for people.
    """

    uri: str
    bytes: int | None
    modified_at: datetime | None
    status: str = ""
    message: str = ""


def listed_table(files: Iterable[ListedFile]) -> pa.Table:
    """Return listed files as rows of `LISTED_FILE`, in their order."""
    remaining, batches = iter(files), []
    while rows := list(islice(remaining, _ROWS_AT_ONCE)):
        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, LISTED_FILE, strict=True)]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=LISTED_FILE))
    return pa.Table.from_batches(batches, schema=LISTED_FILE)


def listed(path: str | Path, status: os.stat_result) -> ListedFile:
    """Return the row of a file."""
    return ListedFile(path_to_uri(path), status.st_size, modified_at(status))


def failed(path: Path, error: OSError) -> ListedFile:
    """Return the row of a file or folder that could not be looked at."""
    code = ErrorCode.VANISHED if isinstance(error, FileNotFoundError) else ErrorCode.UNREADABLE
    reason = "the link points at nothing" if code is ErrorCode.VANISHED and path.is_symlink() else error.strerror
    return ListedFile(path_to_uri(path), None, None, code.value, reason or str(error))


def modified_at(status: os.stat_result) -> datetime:
    """Return a file's time of modification, UTC, in whole microseconds."""
    try:
        return min(_EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000), _LATEST)
    except OverflowError:  # a file system's nonsense, beyond the calendar
        return _LATEST
