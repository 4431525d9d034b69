"""Faces become crops: what the embedder looks at, and what people look at. The photo's pixels end here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.alignment.aligning import FaceAligner, grow_of
from facepipe.alignment.box_crop import crop_faces, display_crop
from facepipe.alignment.fiducials import DetectorPoints, DlibPoints, FindsFiducials
from facepipe.alignment.similarity import Canvas
from facepipe.config import EmbedConfig
from facepipe.models.cache import read_tensor, tensor_shapes, verified_file
from facepipe.models.face_shape import shipped_shape
from facepipe.stage import Resources
from facepipe.stages.pixels import photos_of
from facepipe.stages.rows import healthy_arrays, with_columns


class Crops(NamedTuple):
    """How faces are cut out.

    Attributes:
        size: of the crops, in pixels.
        grow: share of the face's width and of its height added on each side.
        alignment: `box`, `2d` or `3d` (`alignment.aligning`).
        fiducials: `detector` or `dlib`: whose points 2d and 3d go by.
    """

    size: int
    grow: tuple[float, float]
    alignment: str = "box"
    fiducials: str = "detector"


def crops_for(embed: EmbedConfig) -> Crops:
    """Return how the embedder wants its crops cut.

    Raises:
        WeightsError: its weights, which tell, are missing.
        WrongUsageError: the model is unknown.
    """
    alignment = alignment_of(embed)
    crops = Crops(_input_size(embed), grow_of(alignment), alignment, embed.fiducials)
    return ten_crops_of(crops) if embed.ten_crops else crops


def alignment_of(embed: EmbedConfig) -> str:
    """Return how faces are aligned, `box`, `2d` or `3d`: as the settings say, or else the weights.

    Raises:
        WeightsError: the weights are missing.
        WrongUsageError: the model is unknown.
    """
    return embed.alignment or own_alignment(embed)


def own_alignment(embed: EmbedConfig) -> str:
    """Return how the weights want faces aligned: as those were that they learned from."""
    if embed.embedder != "deepface":
        return "box"
    from facepipe.models.deepface_network import ARCHITECTURE, alignment_at

    return alignment_at(float(read_tensor(embed.weights, "alignment", ARCHITECTURE).item()))


def _input_size(embed: EmbedConfig) -> int:
    if embed.embedder == "facenet":
        return 160
    if embed.embedder == "deepface":
        from facepipe.models.deepface_network import input_size_of
    else:
        from facepipe.models.vgg_network import input_size_of
    return input_size_of(tensor_shapes(embed.weights))


Cut = Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]


def cutter(crops: Crops) -> Cut:
    """Return what cuts faces out of a photo: (H, W, 3) uint8, boxes (N, 4), landmarks ► (N, S, S, 3) uint8.

    Landmarks as `FaceAligner.crop` takes them.

    Raises:
        WeightsError: what finds points is missing or corrupt.
        WrongUsageError: dlib is not installed.
    """
    if crops.alignment == "box":
        return lambda photo, boxes, _landmarks: crop_faces(photo, boxes, crops.size, crops.grow)
    shape = shipped_shape() if crops.alignment == "3d" else None
    return FaceAligner(Canvas(crops.size, crops.grow[0]), load_finder(crops.fiducials), shape).crop


def load_finder(fiducials: str) -> FindsFiducials:
    """Return what finds the points of faces, `detector` or `dlib`.

    Raises:
        WeightsError: its weights are missing or corrupt.
        WrongUsageError: dlib is not installed.
    """
    return DlibPoints(verified_file("dlib-68")) if fiducials == "dlib" else DetectorPoints(shipped_shape())


def ten_crops_of(crops: Crops) -> Crops:
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
        cut = cutter(crops_for(self.crops) if isinstance(self.crops, EmbedConfig) else self.crops)
        return lambda table: self._align(table, cut)

    def _align(self, table: pa.Table, cut: Cut) -> pa.Table:
        aligned: list[bytes] = []
        crops: list[list[bytes]] = []
        boxes_of, landmarks_of = healthy_arrays(table, "boxes", 4), healthy_arrays(table, "landmarks", 10)
        for photo, boxes, landmarks in zip(photos_of(table), boxes_of, landmarks_of, strict=True):
            scale = np.float32(photo.scale)
            boxes_in_pixels = boxes * scale
            aligned.append(cut(photo.pixels, boxes_in_pixels, landmarks.reshape(-1, 5, 2) * scale).tobytes())
            crops.append([display_crop(photo.pixels, box) for box in boxes_in_pixels])
        return with_columns(table, self.writes, {"aligned": aligned, "crops": crops})
