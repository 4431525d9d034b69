"""Faceness: windows where the parts of a face are arranged as in a face, then a network that looks at each of them.

Source: Yang, Luo, Loy and Tang, "From Facial Parts Responses to Face Detection: A Deep Learning Approach", ICCV 2015:
part responses (section 3.1), windows ranked by faceness (section 3.2), classification and box regression (section 4).

Departs from the paper: the responses are computed on an image pyramid, each for faces of about one size; windows move
on the responses' grid rather than come from a generic proposal method; the best ones are classified twice again
where regression had moved them, their three scores averaged and their last two boxes: on one half of wider-dev average
precision at 40 px was 0.51 after the first classification, 0.56 after the second, 0.58 after the third.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facepipe.detectors.detector import Detections, last_step
from facepipe.detectors.faceness_score import Arrangement, faceness
from facepipe.detectors.step_pictures import heat_picture
from facepipe.imaging import boxes
from facepipe.imaging.pyramid import Octaves, pyramid_scales
from facepipe.imaging.steps_picture import Step
from facepipe.models.faceness_networks import PARTS, FacenessClassifier, PartNet, attributes_of
from facepipe.models.tensors import part_of

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

WINDOW = 24  # px, height of the smallest windows of a level
ASPECT = 0.76  # of windows: width over height
SIZES = (1.0, 1.19)  # of a level's windows, in units of the smallest
CONTEXT = 1.5  # side of the crop that the classifier sees, in units of its window's height
LEAST_FACE = 12.0  # px of the image: smaller ones are not enlarged to the window
WINDOWS_SHOWN = 60  # among the steps that are drawn
RANKED = 3000  # windows of a photo, those of the greatest faceness, that suppression looks at
LIKELY = 0.005  # probability by the first look above which boxes are classified again
AGAIN = 200  # of a photo's best boxes, classified again, and the most faces that are found on a photo
_PIXELS_AT_ONCE = {"cpu": 1 << 17, "cuda": 1 << 23}
_CROPS_AT_ONCE = {"cpu": 32, "cuda": 1024}


class Faceness:
    """Finds faces, also half covered ones; no landmarks.

    Attributes:
        min_face: least height of a face, in pixels of the upright photo.
        min_score: least probability of a face.
        factor: ratio between neighbouring scales of the image pyramid.
        candidates: how many windows of a photo are classified.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        min_face: float = 20.0,
        min_score: float = 0.1,
        factor: float = 0.709,
        candidates: int = 600,
        device: str | torch.device | None = None,
    ) -> None:
        """Build the networks on a device.

        Args:
            weights: tensors named `parts.hair.…` and so on, `arrangement.…`, `classifier.…` and `calibration`.
            min_face: in pixels.
            min_score: 0 to 1.
            factor: between 0 and 1.
            candidates: at least 1.
            device: none: CUDA where there is one.
        """
        self.min_face, self.min_score, self.factor, self.candidates = min_face, min_score, factor, candidates
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._parts = []
        for part in PARTS:
            network = PartNet(attributes_of(weights, part))
            network.load_state_dict(part_of(weights, f"parts.{part}."))
            self._parts.append(network.eval().to(self._device).to(memory_format=torch.channels_last))
        self._classifier = FacenessClassifier()
        self._classifier.load_state_dict(part_of(weights, "classifier."))
        self._classifier.eval().to(self._device).to(memory_format=torch.channels_last)
        self._arrangement = Arrangement.from_tensors(part_of(weights, "arrangement."))
        self._slope, self._intercept = weights["calibration"].double().tolist()

    def detect(self, images: Sequence[Image], scales: Sequence[float] | None = None) -> list[Detections]:
        """Return the faces of each image, by descending score; each image is looked at alone.

        Args:
            images: (H, W, 3) uint8 RGB, upright; one that is smaller than the least face has no faces.
            scales: pixels of each image per pixel of its upright photo, none: all 1. `min_face` counts in pixels of
                the photo, but a face has to be at least 12 px high in the image, too.
        """
        given = [1.0] * len(images) if scales is None else scales
        return [self._detect(image, scale) for image, scale in zip(images, given, strict=True)]

    def explain(self, image: Image) -> list[Step]:
        """Return the parts' responses on the level where they are greatest, the best windows, then the faces."""
        levels = [responses for responses, _ in self._levels(Octaves(image), 1.0)]
        if not levels:
            return [last_step(image, self.detect([image])[0])]
        shown = max(levels, key=lambda responses: float(responses.max(axis=(1, 2)).sum()))
        steps = [
            Step(f"response: {part}", heat_picture(response, 0.0, 1.0))
            for part, response in zip(PARTS, shown, strict=True)
        ]
        window, _ = self.propose(image)
        steps.append(Step(f"the best {WINDOWS_SHOWN} windows by faceness", image, window[:WINDOWS_SHOWN]))
        return [*steps, last_step(image, self.detect([image])[0])]

    def propose(self, image: Image, scale: float = 1.0) -> tuple[Floats, Floats]:
        """Return the windows of an image that are classified, and their faceness, greatest first.

        Args:
            image: (H, W, 3) uint8 RGB.
            scale: as in `detect`.

        Returns:
            (N, 4) float32 `box_xyxy` in pixels of the image, (N,) float32; N is at most `candidates`.
        """
        return self._propose(Octaves(image), scale)

    def classify(self, image: Image, window: Floats) -> tuple[Floats, Floats]:
        """Return where the faces of windows (N, 4) of an image are, (N, 4), and how probable each is, (N,)."""
        return self._classify(Octaves(image), window)

    @torch.inference_mode()
    def responses(self, picture: Image) -> Floats:
        """Return the parts' responses (5, ceil(H / 4), ceil(W / 4)) float32, 0 to 1, on a level of the pyramid.

        Bands of rows go through the networks one after the other, each with as much beside it as responses depend on.
        """
        height, width = picture.shape[:2]
        margin = -(-PartNet.reach // PartNet.cell) * PartNet.cell
        at_once = _PIXELS_AT_ONCE.get(self._device.type, _PIXELS_AT_ONCE["cpu"])
        step = max(1, at_once // width // PartNet.cell) * PartNet.cell
        bands = []
        for top in range(0, height, step):
            first = max(0, top - margin)
            values = self._to_input([picture[first : top + step + margin]])  # (1, 3, h, W)
            rows = slice((top - first) // PartNet.cell, (min(top + step, height) - first + 3) // PartNet.cell)
            logits = torch.cat([network(values)[0, :1, rows] for network in self._parts])  # (5, h / 4, W / 4)
            bands.append(torch.sigmoid(logits).cpu().numpy())
        whole: Floats = np.concatenate(bands, axis=1)
        return whole

    def _detect(self, image: Image, scale: float) -> Detections:
        octaves = Octaves(image)
        window, _ = self._propose(octaves, scale)
        box, score = self._classify(octaves, window)
        likely = np.flatnonzero(score > LIKELY)
        likely = likely[boxes.nms(box[likely], score[likely], 0.6)][:AGAIN]
        second, second_score = self._classify(octaves, as_windows(box[likely]))
        third, third_score = self._classify(octaves, as_windows(second))
        box = boxes.clip((second + third) / np.float32(2), image.shape[1], image.shape[0]).astype(np.float32)
        mean = np.mean([score[likely], second_score, third_score], axis=0, dtype=np.float64)
        logit = np.log(np.maximum(mean, 1e-7) / np.maximum(1 - mean, 1e-7))
        score = (1 / (1 + np.exp(-(self._slope * logit + self._intercept)))).astype(np.float32)
        found = np.flatnonzero((score >= self.min_score) & (boxes.area(box) > 0))
        found = found[boxes.nms(box[found], score[found], 0.4)]
        return Detections(boxes=box[found], scores=score[found], landmarks=None)

    def _propose(self, photo: Octaves, scale: float) -> tuple[Floats, Floats]:
        found = [(np.empty((0, 4), np.float32), np.empty(0, np.float32))]
        for responses, pixel in self._levels(photo, scale):
            heights = [size * WINDOW / PartNet.cell for size in SIZES]
            found += [_windows(responses, self._arrangement, height, pixel) for height in heights]
        box, score = (np.concatenate(values) for values in zip(*found, strict=True))
        best = np.argsort(-score, kind="stable")[:RANKED]
        best = best[boxes.nms(box[best], score[best], 0.5)][: self.candidates]
        return box[best], score[best]

    def _levels(self, photo: Octaves, scale: float) -> Iterator[tuple[Floats, tuple[float, float]]]:
        """Yield the parts' responses on each level of the pyramid, and the size of its pixels in the photo's."""
        height, width = photo.image.shape[:2]
        least = max(self.min_face * scale, LEAST_FACE)
        for step in pyramid_scales(width, height, window=WINDOW, min_face=least, factor=self.factor):
            picture, pixel = photo.resized(step)
            yield self.responses(picture), pixel

    @torch.inference_mode()
    def _classify(self, photo: Octaves, window: Floats) -> tuple[Floats, Floats]:
        """Return where the classifier sees the faces of windows (N, 4), and how probable each is (N,)."""
        at_once = _CROPS_AT_ONCE.get(self._device.type, _CROPS_AT_ONCE["cpu"])
        seen = [(np.empty((0, 4), np.float32), np.empty(0, np.float32))]
        crop_box = surroundings(window)
        for first in range(0, len(window), at_once):
            crops = [photo.crop(box, FacenessClassifier.size) for box in crop_box[first : first + at_once]]
            score, offsets = (answer.cpu().numpy() for answer in self._classifier(self._to_input(crops)))
            offsets = offsets.clip(-1, 1)  # a box, and a crop of it, can't grow without bounds
            seen.append((boxes.shift_edges(window[first : first + at_once], offsets).astype(np.float32), score))
        box, probability = (np.concatenate(values) for values in zip(*seen, strict=True))
        return box, probability

    def _to_input(self, images: Sequence[Image]) -> Tensor:
        """Return N images (H, W, 3) of one size as the networks want them: (N, 3, H, W), channels last in memory."""
        values = torch.from_numpy(np.stack(images)).to(self._device, torch.float32)
        return values.sub_(127.5).div_(128).permute(0, 3, 1, 2)


def as_windows(box_xyxy: NDArray[np.floating]) -> Floats:
    """Return windows (N, 4) of the usual shape, with the centre and the area of each box (N, 4)."""
    centre = (box_xyxy[:, :2] + box_xyxy[:, 2:]) / 2
    height = np.sqrt(np.maximum(boxes.area(box_xyxy), 1e-6) / ASPECT)
    half = np.stack([height * ASPECT, height], axis=1) / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def surroundings(window_xyxy: Floats) -> Floats:
    """Return the squares (N, 4) that the classifier sees of windows (N, 4)."""
    centre = (window_xyxy[:, :2] + window_xyxy[:, 2:]) / 2
    half = (window_xyxy[:, 3:] - window_xyxy[:, 1:2]) * (CONTEXT / 2)
    return np.concatenate([centre - half, centre + half], axis=1)


def _windows(
    responses: Floats, arrangement: Arrangement, height: float, pixel: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Return the best windows (N, 4) of one size on a level, in pixels of the photo, and their faceness (N,)."""
    score = faceness(responses, arrangement, height * ASPECT, height)
    flat = score.ravel()
    best = np.argpartition(-flat, RANKED)[:RANKED] if len(flat) > RANKED else np.arange(len(flat))
    row, column = np.unravel_index(best, score.shape)
    corner = np.stack([column, row], axis=1) * float(PartNet.cell)
    size = np.array([height * ASPECT, height]) * PartNet.cell
    box = np.concatenate([corner, corner + size], axis=1) * np.array([*pixel, *pixel])
    return box.astype(np.float32), flat[best].astype(np.float32)
