"""Photos become pixels: read, checked against what was ingested, decoded upright and no larger than needed."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from facepipe import schemas
from facepipe.config import DecodeConfig
from facepipe.errors import ErrorCode, PhotoError
from facepipe.imaging.decode import decode_photo
from facepipe.library.uris import uri_to_path
from facepipe.stage import Resources
from facepipe.stages.rows import with_columns


def read_file(uri: str, max_bytes: int) -> bytes:
    """Return a file's bytes.

    Raises:
        PhotoError: it is gone, can't be read, or holds more than max_bytes.
    """
    path = uri_to_path(uri)
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise PhotoError(ErrorCode.VANISHED, "the file is no longer there") from error
    except OSError as error:
        raise PhotoError(ErrorCode.UNREADABLE, f"the file can't be read: {error.strerror or error}") from error
    if len(data) > max_bytes:
        raise PhotoError(ErrorCode.TOO_LARGE, f"the file is larger than decode.max_bytes ({max_bytes:,} bytes)")
    return data


@dataclass(frozen=True)
class ReadPhotos:
    """Writes each photo's upright pixels, with the size and the EXIF facts of the full photo."""

    decode: DecodeConfig
    name: ClassVar[str] = "read_photos"
    reads: ClassVar[pa.Schema] = schemas.PENDING_PHOTO
    writes: ClassVar[pa.Schema] = schemas.DECODED_PHOTO
    drops: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Return the function for batches."""
        return self._read

    def _read(self, table: pa.Table) -> pa.Table:
        columns: dict[str, list[Any]] = {field.name: [None] * len(table) for field in self.writes}
        status, message = table["status"].to_pylist(), table["message"].to_pylist()
        rows = zip(table["photo_id"].to_pylist(), table["uri"].to_pylist(), strict=True)
        for row, (photo_id, uri) in enumerate(rows):
            if status[row]:
                continue
            try:
                data = read_file(uri, self.decode.max_bytes)
                if hashlib.sha256(data).hexdigest() != photo_id:
                    raise PhotoError(ErrorCode.VANISHED, "the file has changed since it was ingested: run ingest again")
                photo = decode_photo(data, self.decode.max_side, self.decode.max_pixels)
            except PhotoError as error:
                status[row], message[row] = error.code.value, str(error)
                continue
            for name in ("width", "height", "taken_at", "camera", "latitude", "longitude"):
                columns[name][row] = getattr(photo, name)
            columns["pixel_height"][row], columns["pixel_width"][row] = photo.pixels.shape[:2]
            columns["pixels"][row] = photo.pixels.tobytes()
        return with_columns(
            table, pa.schema([*self.writes, *schemas.STATUS]), columns | {"status": status, "message": message}
        )
