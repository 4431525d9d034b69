"""DDFD, the deep dense face detector: one network slid over a photo at many scales finds faces of all poses.

Source: Farfade, Saberian and Li, "Multi-view Face Detection Using Deep Convolutional Neural Networks", ICMR 2015,
section 3: heat maps of the network turned fully convolutional, at three scales or more an octave, photos enlarged to
find faces smaller than the window, overlapping boxes merged.

Departs from the paper: the window holds the face and what is around it; windows reach past the photo, where it is
black; a face lies in its window where the training faces did on average, rather than filling it; scores are calibrated
on photos that the network didn't learn from.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facepipe.detectors.box_clusters import Merged, Merging, nms_avg, nms_max
from facepipe.detectors.detector import Detections, last_step
from facepipe.detectors.sliding_window import slide_window
from facepipe.detectors.step_pictures import heat_picture
from facepipe.imaging import boxes
from facepipe.imaging.pyramid import Octaves, pyramid_scales
from facepipe.imaging.steps_picture import Step
from facepipe.models.ddfd_network import DDFDNetwork

Image = NDArray[np.uint8]

SCALES_PER_OCTAVE = 3  # at least
MOST_ENLARGED = 4.0  # a photo is never enlarged more: it would show no more, and memory has its limits
MOST_WINDOWS = 10_000  # of a photo are merged, the best; a trained network lets far fewer pass
MAPS_SHOWN = 4  # heat maps among the steps that are drawn
MERGE_OVERLAP = 0.4  # IoU of boxes from which on they are of one face
# Pixels that go through the network at once; bands of rows overlap by almost a window, so they must not be narrow.
_PIXELS_AT_ONCE = {"cpu": 1 << 21, "cuda": 1 << 24}


class DDFD:
    """Finds faces.

    Attributes:
        min_face: least height of a face, in pixels of the upright photo.
        min_score: least score of a detection.
        factor: ratio between neighbouring scales of the image pyramid.
        merging: how boxes that overlap are merged.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        min_face: float = 20.0,
        min_score: float = 0.1,
        factor: float = 0.709,
        merging: Merging = "average",
        device: str | torch.device | None = None,
    ) -> None:
        """Build the network on a device.

        Args:
            weights: `DDFDNetwork`'s state dict, whose shapes tell the network's sizes.
            min_face: in pixels.
            min_score: 0 to 1.
            factor: between 0 and 1; one that gives less than three scales an octave is taken for 0.794, three.
            merging: by NMS-avg or NMS-max.
            device: none: CUDA where there is one, in half precision.
        """
        self.min_face, self.min_score, self.merging = min_face, min_score, merging
        self.factor = max(factor, 2 ** (-1 / SCALES_PER_OCTAVE))
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        network = DDFDNetwork.shaped_like(weights)
        network.load_state_dict(weights)
        self._slope, self._intercept = network.calibration.tolist()
        self._face_box = network.face_box.numpy().astype(np.float64)
        self._network = network.eval().to(self._device, self._dtype).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def detect(self, images: Sequence[Image], scales: Sequence[float] | None = None) -> list[Detections]:
        """Return the faces of each image, by descending score; landmarks are None.

        Each image is looked at by itself, a few rows at once. Beside the image itself a copy of it is held, enlarged
        by up to MOST_ENLARGED each way where faces are smaller than the window's.

        Args:
            images: (H, W, 3) uint8 RGB, upright; one that is smaller than the least face has no faces.
            scales: pixels of each image per pixel of its upright photo, none: all 1. `min_face` counts in pixels of
                the photo.
        """
        return [
            self._detect(image, self.min_face * scale)
            for image, scale in zip(images, [1.0] * len(images) if scales is None else scales, strict=True)
        ]

    @torch.inference_mode()
    def explain(self, image: Image) -> list[Step]:
        """Return heat maps of a few levels, the boxes of all windows that score enough, then the faces."""
        levels = list(self._levels(image, self.min_face))
        steps = []
        for picture, margin, _ in levels[:: max(1, -(-len(levels) // MAPS_SHOWN))]:
            heat, _ = self._heat([_framed(picture, margin, self._network.crop, self._network.stride)])
            score = torch.sigmoid(self._slope * heat[0].float() + self._intercept).cpu().numpy()
            steps.append(Step(f"heat map at {picture.shape[1]} x {picture.shape[0]} px", heat_picture(score, 0.0, 1.0)))
        box = np.concatenate(
            [np.empty((0, 4), np.float32), *(part.box for part in self._candidates(image, self.min_face))]
        )
        steps.append(Step(f"{len(box):,} windows before they are merged", image, box))
        return [*steps, last_step(image, self.detect([image])[0])]

    def _detect(self, image: Image, min_face: float) -> Detections:
        found = list(self._candidates(image, min_face))
        box = np.concatenate([np.empty((0, 4), np.float32), *(part.box for part in found)])
        score = np.concatenate([np.empty(0, np.float32), *(part.score for part in found)])
        best = np.argsort(-score, kind="stable")[:MOST_WINDOWS]
        box, score = box[best], score[best]
        merged = (nms_avg if self.merging == "average" else nms_max)(box, score, MERGE_OVERLAP)
        height, width = image.shape[:2]
        clipped = boxes.clip(merged.box, width, height)
        seen = boxes.area(clipped) > 0
        return Detections(boxes=clipped[seen], scores=merged.score[seen], landmarks=None)

    def _candidates(self, image: Image, min_face: float) -> Iterator[Merged]:
        """Yield the boxes of all windows that score at least `min_score`, level by level, in pixels of the image."""
        crop, stride = self._network.crop, self._network.stride
        for picture, margin, pixel in self._levels(image, min_face):
            for windows in slide_window(
                self._heat,
                [_framed(picture, margin, crop, stride)],
                window=crop,
                stride=stride,
                threshold=self._least_logit,
                pixels_at_once=_PIXELS_AT_ONCE.get(self._device.type, _PIXELS_AT_ONCE["cpu"]),
            ):
                corner = np.tile(windows.corner - margin, 2)  # (N, 4)
                box = (corner + crop * self._face_box) * np.tile(pixel, 2)
                score = 1 / (1 + np.exp(-(self._slope * windows.score.astype(np.float64) + self._intercept)))
                yield Merged(box.astype(np.float32), score.astype(np.float32))

    def _levels(self, image: Image, min_face: float) -> Iterator[tuple[Image, int, tuple[float, float]]]:
        """Yield the image at each scale, how far windows reach past it, and the size of its pixels in the image's."""
        photo = Octaves(image)
        height, width = image.shape[:2]
        face = self._network.crop * float(self._face_box[3] - self._face_box[1])  # pixels of a level
        least = max(min_face, face / MOST_ENLARGED)
        for scale in pyramid_scales(width, height, window=round(face), min_face=least, factor=self.factor):
            picture, pixel = photo.resized(scale)
            yield picture, math.ceil((self._network.crop - face) / 2), pixel

    @property
    def _least_logit(self) -> float:
        least = max(self.min_score, 1e-6)
        logit: float = (math.log(least / (1 - least)) - self._intercept) / self._slope
        return logit

    def _heat(self, images: Sequence[Image]) -> tuple[Tensor, Tensor]:
        """Return the heat maps (B, h, w) of images of one size; edge offsets (B, 4, h, w) are all 0."""
        values = torch.from_numpy(np.stack(images)).to(self._device, self._dtype)
        heat = self._network.heat_map(values.sub_(127.5).div_(128).permute(0, 3, 1, 2))
        return heat, heat.new_zeros(1).expand(len(heat), 4, *heat.shape[1:])


def _framed(picture: Image, margin: int, crop: int, stride: int) -> Image:
    """Return a picture in a black frame, its upper left corner at (margin, margin), cut into windows without a rest."""
    sides = []
    for length in picture.shape[:2]:
        steps = max(0, math.ceil((length + 2 * margin - crop) / stride))
        sides.append(crop + steps * stride)
    framed = np.zeros((*sides, 3), np.uint8)
    framed[margin : margin + picture.shape[0], margin : margin + picture.shape[1]] = picture
    return framed
