"""What facepipe sees on one photo: the faces and how the detector comes to them, and how each is aligned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepipe.alignment.alignment_steps import CANVAS, AlignedFace, explain_alignment
from facepipe.alignment.fiducials import each_face
from facepipe.alignment.frontalize import Frontalizer
from facepipe.config import Config
from facepipe.detectors.detector import Detections
from facepipe.errors import PhotoError, WrongUsageError
from facepipe.imaging.decode import decode_photo
from facepipe.imaging.steps_picture import Step
from facepipe.models.face_shape import shipped_shape
from facepipe.stages.align_faces import load_finder
from facepipe.stages.detect_faces import load_detector


@dataclass(frozen=True)
class SeenPhoto:
    """A photo, and the faces that a detector finds on it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB of the decoded photo.
        detections: in these pixels.
        scale: pixels of the decoded photo per pixel of the upright photo.
        steps: how the detector came to them; none unless they were asked for.
    """

    pixels: NDArray[np.uint8]
    detections: Detections
    scale: float
    steps: Sequence[Step]


def look_at_photo(photo: Path, config: Config, *, with_steps: bool) -> SeenPhoto:
    """Return the faces that the detector of the settings finds on a photo.

    Raises:
        WrongUsageError: the photo can't be decoded.
        WeightsError: the detector's weights are missing or corrupt.
    """
    try:
        decoded = decode_photo(photo.read_bytes(), config.decode.max_side, config.decode.max_pixels)
    except (OSError, PhotoError) as error:
        raise WrongUsageError(f"{photo} can't be used: {error}") from error
    detector = load_detector(config.detect)
    scale = decoded.pixels.shape[1] / decoded.width
    (detections,) = detector.detect([decoded.pixels], [scale])
    steps = detector.explain(decoded.pixels) if with_steps else ()
    return SeenPhoto(decoded.pixels, detections, scale, steps)


def align_faces_of(seen: SeenPhoto, config: Config) -> list[AlignedFace]:
    """Return how each face of a photo is aligned, in the plane and in space, in the order of the detections.

    Raises:
        WeightsError: what finds points is missing or corrupt.
        WrongUsageError: it isn't installed.
    """
    finder, frontalizer = load_finder(config.embed.fiducials), Frontalizer(shipped_shape(), CANVAS)
    return [
        explain_alignment(seen.pixels, box, points, finder, frontalizer)
        for box, points in each_face(seen.detections.boxes, seen.detections.landmarks)
    ]
