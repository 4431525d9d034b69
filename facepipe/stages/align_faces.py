"""Faces become crops: what the embedder looks at, and what people look at. The photo's pixels end here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.alignment.box_crop import FACENET_GROW, crop_faces, display_crop
from facepipe.config import EmbedConfig
from facepipe.models.cache import tensor_shapes
from facepipe.stage import Resources
from facepipe.stages.pixels import photos_of
from facepipe.stages.rows import arrays_of, with_columns


class Crops(NamedTuple):
    """How faces are cut out.

    Attributes:
        size: of the crops, in pixels.
        grow: share of the box's width and of its height added on each side.
    """

    size: int
    grow: tuple[float, float]


def crops_for(embed: EmbedConfig) -> Crops:
    """Return how the embedder wants its crops cut.

    Raises:
        WeightsError: its weights, which tell, are missing.
        WrongUsageError: the model is unknown.
    """
    crops = _crops_of_network(embed)
    return _for_ten_crops(crops) if embed.ten_crops else crops


def _crops_of_network(embed: EmbedConfig) -> Crops:
    if embed.embedder == "facenet":
        return Crops(160, FACENET_GROW)
    from facepipe.models.vgg_network import input_size_of

    return Crops(input_size_of(tensor_shapes(embed.weights)), FACENET_GROW)


def _for_ten_crops(crops: Crops) -> Crops:
    """Return how faces are cut for ten crops at three scales, from how the network wants them.

    The region is wider than the network's by as much as the smallest scale is, so that the centre of that shows what
    the network is used to.
    """
    from facepipe.embedders.ten_crops import NETWORK, SCALES, face_sides

    wider = SCALES[0] / NETWORK
    grow_x, grow_y = (((1 + 2 * share) * wider - 1) / 2 for share in crops.grow)
    return crops._replace(size=face_sides(crops.size)[-1], grow=(grow_x, grow_y))


@dataclass(frozen=True)
class AlignFaces:
    """Writes each face's aligned crop for the embedder, and a JPEG of it for display.

    Attributes:
        crops: how they are cut, or the embedder that decides it.
    """

    crops: Crops | EmbedConfig
    name: ClassVar[str] = "align_faces"
    reads: ClassVar[pa.Schema] = pa.schema([*schemas.STATUS, *schemas.DECODED_PHOTO, *schemas.DETECTED_FACES])
    writes: ClassVar[pa.Schema] = schemas.ALIGNED_FACES
    drops: ClassVar[Sequence[str]] = schemas.PIXELS
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Return the function for batches."""
        cut = crops_for(self.crops) if isinstance(self.crops, EmbedConfig) else self.crops
        return lambda table: self._align(table, cut)

    def _align(self, table: pa.Table, cut: Crops) -> pa.Table:
        aligned: list[bytes] = []
        crops: list[list[bytes]] = []
        for photo, boxes in zip(photos_of(table), arrays_of(table["boxes"], 4), strict=True):
            boxes_in_pixels = boxes * np.float32(photo.scale)
            aligned.append(crop_faces(photo.pixels, boxes_in_pixels, cut.size, cut.grow).tobytes())
            crops.append([display_crop(photo.pixels, box) for box in boxes_in_pixels])
        return with_columns(table, self.writes, {"aligned": aligned, "crops": crops})
