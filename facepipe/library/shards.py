"""Packed photos: Parquet files under a library's `shards`, a row a photo, that `extract` reads instead of the sources.

A shard is written whole and only then named, by `files.packed`, as `shards/NAME.parquet#ROW`: a place relative to the
library, which may move. One that no row names was left by a run that was killed.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from facepipe.library.storage import Storage, first_line
from facepipe.sources.uris import path_to_uri

FOLDER = "shards"
ROW_GROUP_BYTES = 16 << 20  # what reading one photo costs at most, beside a photo that is larger itself
UNKNOWN_BYTES = 1 << 20  # taken for a photo whose size is not known yet
MOST_ROWS = 4096
UNFINISHED_FOR = timedelta(hours=1)  # in an object store another run may still be about to name its shard

_SCHEMA = pa.schema([("photo_id", pa.string()), ("uri", pa.string()), ("bytes", pa.binary())])


class Shard:
    """A shard as it grows; no more than a row group of it is held in memory."""

    def __init__(self, name: str, writer: pq.ParquetWriter) -> None:
        self._name = name
        self._writer = writer
        self._rows: list[tuple[str, str, bytes]] = []
        self._held = self._written = 0

    def add(self, photo_id: str, uri: str, data: bytes) -> str:
        """Add a photo and return its place, which holds once the shard is finished."""
        if self._rows and self._held + len(data) > ROW_GROUP_BYTES:
            self.flush()
        self._rows.append((photo_id, uri, data))
        self._held += len(data)
        return f"{FOLDER}/{self._name}#{self._written + len(self._rows) - 1}"

    def flush(self) -> None:
        """Write what is held in memory as a row group."""
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
            self._writer.write_table(pa.table(arrays, schema=_SCHEMA))
            self._written += len(self._rows)
            self._rows, self._held = [], 0


@contextmanager
def open_shard(storage: Storage) -> Iterator[Shard]:
    """Open a new shard, which appears whole and on the disk when the block ends without an error.

    Raises:
        LibraryError: it can't be written, as on a full disk.
    """
    name = f"{uuid.uuid4().hex}.parquet"
    with (
        storage.open_new(FOLDER, name) as sink,
        # Photos are compressed already, and statistics would repeat their first bytes in the footer.
        pq.ParquetWriter(sink, _SCHEMA, compression="none", use_dictionary=False, write_statistics=False) as writer,
    ):
        shard = Shard(name, writer)
        yield shard
        shard.flush()


def cut_by_bytes(sizes: Sequence[int | None], most: int) -> Iterator[slice]:
    """Yield the runs of neighbours that fit into one shard each, by their bytes; a larger photo has its own.

    Args:
        sizes: in bytes; None where a size is not known.
        most: bytes a shard.
    """
    start = held = 0
    for row, known in enumerate(sizes):
        size = UNKNOWN_BYTES if known is None else known
        if row > start and (held + size > most or row - start >= MOST_ROWS):
            yield slice(start, row)
            start, held = row, 0
        held += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def with_known_places(rows: pa.Table, files: pa.Table) -> pa.Table:
    """Return rows for `files` with the places of contents that were packed before, where they have none.

    So what was packed stays packed when a file is read again, its time having changed, by a run that packs nothing.

    Args:
        rows: new rows (photo_id, packed).
        files: the rows of the table, as it was, whose contents are packed (photo_id, packed).
    """
    place = pc.take(files["packed"], pc.index_in(rows["photo_id"], value_set=files["photo_id"].combine_chunks()))
    position = rows.schema.get_field_index("packed")
    return rows.set_column(position, rows.schema.field(position), pc.coalesce(rows["packed"], place))


def packed_root(storage: Storage) -> str:
    """Return the URI that places of packed photos are relative to."""
    return path_to_uri(storage.location) if storage.is_local else storage.location


def remove_unnamed_shards(storage: Storage, packed: pa.ChunkedArray) -> int:
    """Remove shards that a killed run left, finished or not, and return how many.

    To be called by whoever holds the library. A local library's lock says that nobody else is writing a shard; in an
    object store only time does.

    Args:
        storage: the library's place.
        packed: the column of `files`.
    """
    filesystem, root = storage.open_filesystem()
    named = {f"{root}/{FOLDER}/{name}" for name in _rows_by_shard(packed)}
    recent = datetime.now(UTC) - UNFINISHED_FOR
    removed = 0
    for entry in filesystem.get_file_info(pafs.FileSelector(f"{root}/{FOLDER}", allow_not_found=True)):
        finished = storage.is_local or entry.mtime < recent
        if entry.type == pafs.FileType.File and entry.path not in named and finished:
            filesystem.delete_file(entry.path)
            removed += 1
    return removed


def find_broken_places(storage: Storage, packed: pa.ChunkedArray) -> Iterator[str]:
    """Yield a sentence for each shard that is named and isn't there whole."""
    filesystem, root = storage.open_filesystem()
    for name, last_row in sorted(_rows_by_shard(packed).items()):
        path = f"{FOLDER}/{name}"
        try:
            with pq.ParquetFile(f"{root}/{path}", filesystem=filesystem) as shard:
                rows, schema = shard.metadata.num_rows, shard.schema_arrow
        except FileNotFoundError:
            yield f"the shard {path}, which files name, is missing"
            continue
        except (OSError, pa.ArrowException) as error:
            yield f"the shard {path} can't be read: {first_line(error)}"
            continue
        if rows <= last_row or not schema.equals(_SCHEMA):
            yield f"the shard {path} lacks photos that files name"


def _rows_by_shard(packed: pa.ChunkedArray) -> dict[str, int]:
    """Return the last row that is named of each shard, by the shard's name."""
    parts = pc.extract_regex(pc.unique(packed).drop_null(), rf"^{FOLDER}/(?P<name>.+)#(?P<row>[0-9]+)$")
    if not len(parts):
        return {}
    rows = pa.table([parts.field("name"), parts.field("row").cast(pa.int64())], names=["name", "row"])
    last = rows.group_by("name").aggregate([("row", "max")])
    return dict(zip(last["name"].to_pylist(), last["row_max"].to_pylist(), strict=True))
