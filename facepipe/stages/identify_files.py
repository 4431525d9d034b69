"""Files become contents: SHA-256, media type, and an early end for what is no photo."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.config import DecodeConfig
from facepipe.errors import ErrorCode, PhotoError
from facepipe.imaging.decode import check_header
from facepipe.stage import Resources
from facepipe.stages.read_photos import read_file
from facepipe.stages.rows import with_columns


@dataclass(frozen=True)
class IdentifyFiles:
    """Writes the SHA-256 and the media type of each listed file's bytes, from one read."""

    decode: DecodeConfig
    name: ClassVar[str] = "identify_files"
    reads: ClassVar[pa.Schema] = schemas.LISTED_FILE
    writes: ClassVar[pa.Schema] = schemas.IDENTIFIED_FILE
    drops: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Return the function for batches."""
        return self._identify

    def _identify(self, table: pa.Table) -> pa.Table:
        photo_ids: list[str | None] = []
        media_types: list[str | None] = []
        status, message = table["status"].to_pylist(), table["message"].to_pylist()
        for row, uri in enumerate(table["uri"].to_pylist()):
            photo_id = media_type = None
            if not status[row]:
                try:
                    data = read_file(uri, self.decode.max_bytes)
                    if not data:
                        raise PhotoError(ErrorCode.EMPTY, "the file is empty")
                    photo_id = hashlib.sha256(data).hexdigest()
                    media_type = check_header(data, self.decode.max_pixels).media_type
                except PhotoError as error:
                    status[row], message[row] = error.code.value, str(error)
            photo_ids.append(photo_id)
            media_types.append(media_type)
        columns = {"photo_id": photo_ids, "media_type": media_types, "status": status, "message": message}
        return with_columns(table, pa.schema([*self.writes, *schemas.STATUS]), columns)


def file_rows(identified: pa.Table) -> pa.Table:
    """Return the rows of `files` for identified files, failed ones left out."""
    found = identified.filter(pc.equal(identified["status"], ""))
    for name in ("missing_since", "packed"):
        if name not in found.column_names:
            found = found.append_column(schemas.FILES.field(name), pa.nulls(len(found), schemas.FILES.field(name).type))
    return found.select(schemas.FILES.names)
