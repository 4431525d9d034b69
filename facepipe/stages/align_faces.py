"""Faces become crops: what the embedder looks at, and what people look at. The photo's pixels end here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.alignment.box_crop import FACENET_GROW, crop_faces, display_crop
from facepipe.stage import Resources
from facepipe.stages.pixels import photos_of
from facepipe.stages.rows import arrays_of, with_columns


@dataclass(frozen=True)
class AlignFaces:
    """Writes each face's aligned crop for the embedder, and a JPEG of it for display.

    Attributes:
        size: of the aligned crops, in pixels.
        grow: share of the box's width and of its height added on each side.
    """

    size: int = 160
    grow: tuple[float, float] = FACENET_GROW
    name: ClassVar[str] = "align_faces"
    reads: ClassVar[pa.Schema] = pa.schema([*schemas.STATUS, *schemas.DECODED_PHOTO, *schemas.DETECTED_FACES])
    writes: ClassVar[pa.Schema] = schemas.ALIGNED_FACES
    drops: ClassVar[Sequence[str]] = schemas.PIXELS
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Return the function for batches."""
        return self._align

    def _align(self, table: pa.Table) -> pa.Table:
        aligned: list[bytes] = []
        crops: list[list[bytes]] = []
        for photo, boxes in zip(photos_of(table), arrays_of(table["boxes"], 4), strict=True):
            boxes_in_pixels = boxes * np.float32(photo.scale)
            aligned.append(crop_faces(photo.pixels, boxes_in_pixels, self.size, self.grow).tobytes())
            crops.append([display_crop(photo.pixels, box) for box in boxes_in_pixels])
        return with_columns(table, self.writes, {"aligned": aligned, "crops": crops})
