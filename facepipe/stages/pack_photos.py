"""The bytes of new photos go into the library: `ingest --pack`."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from facepipe import schemas
from facepipe.errors import ErrorCode, PhotoError
from facepipe.library.shards import Shard, cut_by_bytes, open_shard
from facepipe.library.storage import Storage
from facepipe.sources.read_source import read_source
from facepipe.stage import Resources
from facepipe.stages.rows import healthy, with_columns


@dataclass(frozen=True)
class PackPhotos:
    """Writes a batch's distinct contents as shards, one after the other, and each file's place in them.

    Nothing names a shard before the batch is committed, so a repeated batch leaves a shard behind, never a row.
    """

    library: str
    shard_bytes: int
    max_bytes: int
    name: ClassVar[str] = "pack_photos"
    reads: ClassVar[pa.Schema] = pa.schema(
        [schemas.FILES.field(name) for name in ("uri", "photo_id", "bytes")] + list(schemas.STATUS)
    )
    writes: ClassVar[pa.Schema] = pa.schema([schemas.FILES.field("packed")])
    drops: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Return the function for batches."""
        return self._pack

    def _pack(self, table: pa.Table) -> pa.Table:
        names = ("uri", "photo_id", "bytes", *schemas.STATUS.names)
        uris, photo_ids, sizes, status, message = (table[name].to_pylist() for name in names)
        places: dict[str, str] = {}
        first: dict[str, int] = {}
        for row in healthy(table):
            first.setdefault(photo_ids[row], row)
        distinct = list(first.values())
        for run in cut_by_bytes([sizes[row] for row in distinct], self.shard_bytes):
            with open_shard(Storage.at(self.library)) as shard:
                for row in distinct[run]:
                    try:
                        places[photo_ids[row]] = self._add(shard, photo_ids[row], uris[row])
                    except PhotoError as error:
                        status[row], message[row] = error.code.value, str(error)
        packed = [places.get(photo_id) for photo_id in photo_ids]
        columns = {"packed": packed, "status": status, "message": message}
        return with_columns(table, pa.schema([*self.writes, *schemas.STATUS]), columns)

    def _add(self, shard: Shard, photo_id: str, uri: str) -> str:
        data = read_source(uri, self.max_bytes)
        if hashlib.sha256(data).hexdigest() != photo_id:
            raise PhotoError(ErrorCode.VANISHED, "the file changed while it was ingested: run ingest again")
        return shard.add(photo_id, uri, data)
