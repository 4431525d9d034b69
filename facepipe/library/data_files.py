"""Parquet files of tables: written by any worker, read by pyarrow alone.

Files are never read through `DeltaTable.to_pyarrow_*`: a process that did so may abort when it exits.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from facepipe.errors import FacepipeError, LibraryError
from facepipe.library.storage import Storage, first_line
from facepipe.schemas import TABLES

FOLDER = "tables"
ROW_GROUP_BYTES = 32 << 20
BATCH_ROWS = 1024

# Each page carries a checksum, which every read of this program compares: a flipped bit is an error, never a wrong row.
WRITING: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
DAMAGE = (OSError, ValueError, pa.ArrowException)  # what pyarrow raises for damaged files; names that aren't UTF-8 too
READING = pads.ParquetFragmentScanOptions(page_checksum_verification=True)


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table; it counts only once it has been committed.

    Attributes:
        path: relative to the table's folder.
        size: in bytes.
        num_records: its rows.
        modification_time: milliseconds since 1970, UTC.
    """

    path: str
    size: int
    num_records: int
    modification_time: int


def conform(name: str, rows: pa.Table) -> pa.Table:
    """Return the rows with exactly a table's columns, in its order and types; others are left out.

    Raises:
        FacepipeError: a column is missing or can't be converted without loss.
    """
    try:
        return rows.select(TABLES[name].names).cast(TABLES[name])
    except (KeyError, ValueError, NotImplementedError) as error:
        raise FacepipeError(f"rows for the table {name!r} don't fit it: {error}; a bug, please report it") from error


def write_data_file(library_location: str | Path, name: str, rows: pa.Table) -> DataFile:
    """Return the entry of a new Parquet file in a table's folder, to be committed by whoever holds the writer.

    It needs no handle, so any worker may call it. Locally the file is fsynced and then renamed into place.
    """
    storage = Storage.at(library_location)
    path = f"{uuid.uuid4().hex}.parquet"
    with storage.open_new(FOLDER, name, path) as sink:
        pq.write_table(conform(name, rows), sink, **WRITING)
    return _written(storage, name, path, rows.num_rows)


def merge_data_files(storage: Storage, name: str, files: Sequence[DataFile]) -> DataFile:
    """Return the entry of a new file that holds the rows of some files, in their order; memory stays small.

    Its modification_time is the newest of theirs.

    Raises:
        LibraryError: a file is missing or damaged, or the new one can't be written.
    """
    merged = _write_streamed(storage, name, iterate_data_files(storage, name, files, TABLES[name].names))
    expected = sum(file.num_records for file in files)
    if merged.num_records != expected:
        storage.remove(f"{FOLDER}/{name}/{merged.path}")
        raise LibraryError(
            f"the table {name!r} of {storage.location} has {merged.num_records:,} rows in {len(files)} files that hold "
            f"{expected:,} by its log: restore the table's folder from a backup"
        )
    return replace(merged, modification_time=max(file.modification_time for file in files))


def copy_rows(storage: Storage, name: str, files: Sequence[DataFile], where: pc.Expression) -> DataFile:
    """Return the entry of a new file that holds those rows of some files for which an expression is true.

    Raises:
        LibraryError: a file is missing or damaged, or the new one can't be written.
    """
    return _write_streamed(storage, name, iterate_data_files(storage, name, files, TABLES[name].names, where))


def _write_streamed(storage: Storage, name: str, batches: Iterator[pa.RecordBatch]) -> DataFile:
    """Return the entry of a new file of rows that may not fit into memory."""
    path = f"{uuid.uuid4().hex}.parquet"
    rows = 0
    with (
        storage.open_new(FOLDER, name, path) as sink,
        pq.ParquetWriter(sink, TABLES[name], **WRITING) as writer,
    ):
        for group in _row_groups(batches):
            writer.write_table(group)
            rows += group.num_rows
    return _written(storage, name, path, rows)


def _row_groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the batches gathered to row groups of about `ROW_GROUP_BYTES`."""
    gathered: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        gathered.append(batch)
        size += batch.nbytes
        if size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(gathered)
            gathered, size = [], 0
    if gathered:
        yield pa.Table.from_batches(gathered)


def _written(storage: Storage, name: str, path: str, rows: int) -> DataFile:
    """Return the entry of a file that was just written."""
    size = storage.sizes([f"{FOLDER}/{name}/{path}"])[0]
    if size is None:
        raise LibraryError(f"{storage.address(FOLDER, name, path)} vanished after it was written: repeat the command")
    return DataFile(path, size, rows, time.time_ns() // 1_000_000)


def check_files(storage: Storage, name: str, files: Sequence[DataFile]) -> None:
    """Raise LibraryError unless all files are there whole: Delta itself commits names of missing files."""
    sizes = storage.sizes([f"{FOLDER}/{name}/{file.path}" for file in files])
    for file, size in zip(files, sizes, strict=True):
        if size != file.size:
            address = storage.address(FOLDER, name, file.path)
            raise LibraryError(f"{address} vanished or changed before it was committed: repeat the command")


def open_dataset(storage: Storage, name: str, files: Sequence[DataFile]) -> pads.Dataset:
    """Return some of a table's files as one dataset with the table's schema."""
    filesystem, root = storage.open_filesystem()
    paths = [f"{root}/{FOLDER}/{name}/{file.path}" for file in files]
    parquet = pads.ParquetFileFormat(default_fragment_scan_options=READING)
    return pads.dataset(paths, schema=TABLES[name], format=parquet, filesystem=filesystem)


def read_data_files(
    storage: Storage,
    name: str,
    files: Sequence[DataFile],
    columns: Sequence[str] | None = None,
    where: pc.Expression | None = None,
) -> pa.Table:
    """Return the rows of some files, in the files' order.

    Args:
        storage: the library's place.
        name: the table.
        files: which of its files; with none, the table returned is empty.
        columns: in the order wanted; None means all.
        where: which rows; None means all.

    Raises:
        LibraryError: a file is missing or damaged.
    """
    names = list(TABLES[name].names if columns is None else columns)
    if not files:
        return TABLES[name].empty_table().select(names)
    with _naming_damage(storage, name):
        return open_dataset(storage, name, files).to_table(columns=names, filter=where)


def iterate_data_files(
    storage: Storage, name: str, files: Sequence[DataFile], columns: Sequence[str], where: pc.Expression | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some files in batches that fit into memory; otherwise as `read_data_files`."""
    if files:
        with _naming_damage(storage, name):
            yield from open_dataset(storage, name, files).to_batches(
                columns=list(columns), filter=where, batch_size=BATCH_ROWS, batch_readahead=4, fragment_readahead=1
            )


def files_with(storage: Storage, name: str, files: Sequence[DataFile], where: pc.Expression) -> list[DataFile]:
    """Return those of some files that hold a row for which an expression is true."""
    if not files:
        return []
    with _naming_damage(storage, name):
        found = open_dataset(storage, name, files).to_table(columns=["__filename"], filter=where)
    names = {path.rpartition("/")[2] for path in pc.unique(found["__filename"]).to_pylist()}
    return [file for file in files if file.path in names]


@contextmanager
def _naming_damage(storage: Storage, name: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise LibraryError(
            f"the table {name!r} of {storage.location} can't be read ({first_line(error)}): "
            "`facepipe check` names what is damaged"
        ) from error
