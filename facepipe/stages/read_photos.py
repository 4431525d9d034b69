"""Photos become pixels: read, checked against what was ingested, decoded upright and no larger than needed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa

from facepipe import schemas
from facepipe.config import DecodeConfig
from facepipe.isolation.calls import IsolatedCalls
from facepipe.stage import Resources
from facepipe.stages.photo_files import open_decoder
from facepipe.stages.pixels import pixel_column
from facepipe.stages.rows import healthy, with_columns


@dataclass(frozen=True)
class ReadPhotos:
    """Writes each photo's upright pixels, with the size, the EXIF facts and the perceptual hash of the full photo."""

    decode: DecodeConfig
    name: ClassVar[str] = "read_photos"
    reads: ClassVar[pa.Schema] = schemas.PENDING_PHOTO
    writes: ClassVar[pa.Schema] = schemas.DECODED_PHOTO
    drops: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Start the process that reads and decodes, and return the function for batches."""
        settings = self.decode.model_dump(include={"max_bytes", "max_pixels", "max_side"})
        calls = IsolatedCalls(open_decoder, settings, self.decode.timeout_seconds, self.decode.max_memory)
        return partial(_read, calls)


def _read(calls: IsolatedCalls, table: pa.Table) -> pa.Table:
    rows = healthy(table)
    photos = table.select(["photo_id", "uri", "read_from"]).to_pylist()
    answers, pixels = calls([list(photos[row].values()) for row in rows])
    columns: dict[str, Any] = {name: [None] * len(table) for name in schemas.DECODED_PHOTO.names}
    columns |= {name: table[name].to_pylist() for name in schemas.STATUS.names}
    sizes = [0] * len(table)
    for row, answer in zip(rows, answers, strict=True):
        sizes[row] = answer.size
        if answer.error is not None:
            columns["status"][row], columns["message"][row] = answer.error.code.value, str(answer.error)
            continue
        for name, fact in answer.facts.items():
            columns[name][row] = fact
        if answer.facts["taken_at"] is not None:
            columns["taken_at"][row] = datetime.fromisoformat(answer.facts["taken_at"])
        columns["perceptual_hash"][row] = bytes.fromhex(answer.facts["perceptual_hash"])
    columns["pixels"] = pixel_column(pixels, sizes)
    return with_columns(table, pa.schema([*schemas.DECODED_PHOTO, *schemas.STATUS]), columns)
