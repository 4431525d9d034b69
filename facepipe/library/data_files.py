"""Parquet files of tables: written by any worker, read by pyarrow alone.

Files are never read through `DeltaTable.to_pyarrow_*`: a process that did so may abort when it exits.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from facepipe.errors import FacepipeError, LibraryError
from facepipe.library.storage import Storage, first_line
from facepipe.schemas import TABLES

FOLDER = "tables"


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
        pq.write_table(conform(name, rows), sink, compression="zstd")
    size = storage.sizes([f"{FOLDER}/{name}/{path}"])[0]
    if size is None:
        raise LibraryError(f"{storage.address(FOLDER, name, path)} vanished after it was written: repeat the command")
    return DataFile(path, size, rows.num_rows, time.time_ns() // 1_000_000)


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
    return pads.dataset(paths, schema=TABLES[name], format="parquet", filesystem=filesystem)


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
            yield from open_dataset(storage, name, files).to_batches(columns=list(columns), filter=where)


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
    except (OSError, pa.ArrowException) as error:
        raise LibraryError(f"the table {name!r} of {storage.location} can't be read: {first_line(error)}") from error
