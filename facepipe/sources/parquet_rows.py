"""Photos inside Parquet files: which column holds them, and the bytes of one row."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from facepipe.errors import ErrorCode, PhotoError
from facepipe.sources.hostile_files import check_size, opened
from facepipe.sources.uris import uri_to_path

PREFERRED = ("image", "bytes", "jpg", "jpeg", "png", "webp", "content", "data")
OPEN_FILES = 2  # kept a process
BATCH_BYTES = 16 << 20  # decoded at once, of each open file
_READ_AHEAD = 1 << 20


def image_column(schema: pa.Schema) -> str:
    """Return the name of the column that holds encoded photos; `NAME.bytes` where it lies in a struct beside a path.

    A column named as in `PREFERRED` (the case doesn't matter) is taken, in that order; else the only binary one.

    Raises:
        PhotoError: there is no such column, or several and none of them preferred.
    """
    found: dict[str, str] = {}
    for column in schema:
        if _is_binary(column.type):
            found[column.name] = column.name
        elif pa.types.is_struct(column.type):
            position = column.type.get_field_index("bytes")
            if position >= 0 and _is_binary(column.type.field(position).type):
                found[column.name] = f"{column.name}.bytes"
    by_name = {name.lower(): path for name, path in found.items()}
    for name in PREFERRED:
        if name in by_name:
            return by_name[name]
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise PhotoError(ErrorCode.UNSUPPORTED, "the Parquet file has no column of photos (binary)")
    raise PhotoError(
        ErrorCode.UNSUPPORTED,
        f"the Parquet file has several binary columns ({', '.join(sorted(found))}): rename the one of the photos image",
    )


class ParquetPhotos:
    """An open Parquet file of photos, read row by row; neighbours cost nothing, a jump back starts a row group anew.

    No more than about `BATCH_BYTES` of rows are decoded at once, whatever the size of row groups, beside the page that
    holds them. Writers decide on pages; some make them as large as a row group.

    Args:
        source: open for reading; it is closed with the last reference to this object.

    Raises:
        PhotoError: it is no sound Parquet file, or none of photos.
    """

    def __init__(self, source: IO[bytes] | pa.NativeFile) -> None:
        with _naming_damage():
            self._file = pq.ParquetFile(source, buffer_size=_READ_AHEAD, pre_buffer=False)
            self._column = image_column(self._file.schema_arrow)
            groups = [self._file.metadata.row_group(group) for group in range(self._file.num_row_groups)]
        self._starts = list(accumulate((group.num_rows for group in groups), initial=0))
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._group = -1
        self._first = self._stop = 0  # rows of the batch at hand
        self._values: pa.Array = pa.array([], pa.binary())

    @property
    def num_rows(self) -> int:
        """How many photos there are."""
        return int(self._starts[-1])

    def read(self, row: int, max_bytes: int) -> bytes:
        """Return a row's photo; raises as `read_source`."""
        if not 0 <= row < self.num_rows:
            raise PhotoError(ErrorCode.VANISHED, "the Parquet file no longer has this row")
        with _naming_damage():
            group = bisect_right(self._starts, row) - 1
            if group != self._group or row < self._first:
                self._open_group(group)
            while row >= self._stop:
                self._advance()
        value = self._values[row - self._first]
        if not value.is_valid:
            raise PhotoError(ErrorCode.EMPTY, "the row holds no photo")
        photo = value.as_buffer()
        check_size(photo.size, max_bytes)
        data: bytes = photo.to_pybytes()
        return data

    def _open_group(self, group: int) -> None:
        rows = self._starts[group + 1] - self._starts[group]
        size = max(1, self._column_bytes(group))
        self._batches = self._file.iter_batches(
            max(1, min(rows, rows * BATCH_BYTES // size)), row_groups=[group], columns=[self._column], use_threads=False
        )
        self._group = group
        self._first = self._stop = self._starts[group]

    def _advance(self) -> None:
        batch = next(self._batches, None)
        if batch is None or batch.num_rows == 0:
            raise PhotoError(ErrorCode.UNREADABLE, "the Parquet file holds fewer rows than it says")
        values = batch.column(0)
        if pa.types.is_struct(values.type):
            (values,) = values.flatten()
        self._first, self._stop, self._values = self._stop, self._stop + batch.num_rows, values

    def _column_bytes(self, group: int) -> int:
        metadata = self._file.metadata.row_group(group)
        columns = (metadata.column(index) for index in range(metadata.num_columns))
        return sum(column.total_uncompressed_size for column in columns if column.path_in_schema == self._column)


def read_row(shard: str, row: bytes, max_bytes: int) -> bytes:
    """Return the photo of a row of a Parquet file at a URI; raises as `read_source`."""
    if not row.isdigit():
        raise PhotoError(ErrorCode.VANISHED, "a photo in a Parquet file is addressed by the number of its row")
    if not shard.startswith("file://"):
        return _open_object(shard).read(int(row), max_bytes)
    path = uri_to_path(shard)
    with opened(path) as descriptor:
        status = os.fstat(descriptor)
    return _open_file(path, status.st_size, status.st_mtime_ns, status.st_ino).read(int(row), max_bytes)


@lru_cache(maxsize=OPEN_FILES)
def _open_file(path: Path, size: int, modified_ns: int, inode: int) -> ParquetPhotos:  # noqa: ARG001 - they are the key
    return open_parquet(path)


def open_parquet(path: Path) -> ParquetPhotos:
    """Return a local Parquet file of photos, whatever bytes its name has; raises PhotoError."""
    with opened(path) as descriptor:
        return ParquetPhotos(os.fdopen(os.dup(descriptor), "rb", buffering=0))


@lru_cache(maxsize=OPEN_FILES)
def _open_object(uri: str) -> ParquetPhotos:
    try:
        filesystem, path = pafs.FileSystem.from_uri(uri)
        source = filesystem.open_input_file(path)
    except FileNotFoundError as error:
        raise PhotoError(ErrorCode.VANISHED, "the packed photo is no longer there") from error
    except OSError as error:
        raise PhotoError(ErrorCode.UNREADABLE, f"the packed photo can't be read: {error.strerror or error}") from error
    return ParquetPhotos(source)


@contextmanager
def _naming_damage() -> Iterator[None]:
    try:
        yield
    except MemoryError as error:  # Arrow's own is an ArrowException too
        raise PhotoError(ErrorCode.TOO_LARGE, "the Parquet file's photos don't fit into memory") from error
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise PhotoError(ErrorCode.UNREADABLE, f"the Parquet file can't be read: {reason}") from error


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
