"""Photos of a batch are compared with one another, pair by pair as they ask for it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from facepipe import schemas
from facepipe.duplicates.comparing import compare_photos
from facepipe.stage import Resources
from facepipe.stages.pixels import photos_of
from facepipe.stages.rows import with_columns


@dataclass(frozen=True)
class ComparePhotos:
    """Writes, for each photo that a row is to be compared with, whether the two are copies.

    The photos of a batch must hold all that its rows name; the pixels end here.
    """

    name: ClassVar[str] = "compare_photos"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            schemas.PENDING_PHOTO.field("photo_id"),
            *schemas.STATUS,
            *schemas.TO_COMPARE,
            *[schemas.DECODED_PHOTO.field(name) for name in ("width", "height", *schemas.PIXELS)],
        ]
    )
    writes: ClassVar[pa.Schema] = schemas.COMPARED_PHOTO
    drops: ClassVar[Sequence[str]] = tuple(schemas.DECODED_PHOTO.names)
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Return the function for batches."""
        return _compare


def _compare(table: pa.Table) -> pa.Table:
    photos, failed = photos_of(table), [bool(status) for status in table["status"].to_pylist()]
    sizes = list(zip(table["width"].to_pylist(), table["height"].to_pylist(), strict=True))
    row_of = {photo_id: row for row, photo_id in enumerate(table["photo_id"].to_pylist())}
    kinds: list[list[str | None]] = []
    differences: list[list[float | None]] = []
    for row, others in enumerate(table["compare_with"].to_pylist()):
        kinds.append([])
        differences.append([])
        for other in (row_of[photo_id] for photo_id in others):
            if failed[row] or failed[other]:
                kinds[-1].append(None)
                differences[-1].append(None)
                continue
            same_pixels, difference = compare_photos(photos[row].pixels, photos[other].pixels)
            # Large photos are decoded at a reduced scale, at which a resized one may look the same.
            exact = same_pixels and sizes[row] == sizes[other]
            kinds[-1].append("exact" if exact else "near" if difference <= 1 else "different")
            differences[-1].append(difference if math.isfinite(difference) else None)
    return with_columns(table, schemas.COMPARED_PHOTO, {"kinds": kinds, "differences": differences})
