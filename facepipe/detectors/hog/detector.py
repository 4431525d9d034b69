"""Faces by histograms of oriented gradients and a bag of features.

Source: Cerna, Cámara-Chávez and Menotti, "Face Detection: Histogram of Oriented Gradients and Bag of Feature Method",
IPCV 2013: blocks of oriented gradients (Dalal and Triggs 2005) become words of a codebook, a window slid over the photo
at many scales is described by histograms of its words, a linear support vector machine judges it, and windows that
overlap become one face.

Departs from the paper: a spatial bin for each block (`word_tables`); the window's words also tell where in it the face
lies; all windows on a face add to its score (`merging`), which is calibrated on photos that the classifier didn't learn
from.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facepipe.detectors.detector import Detections, last_step
from facepipe.detectors.hog.descriptor import cell_histograms
from facepipe.detectors.hog.levels import photo_levels
from facepipe.detectors.hog.merging import merge_boxes
from facepipe.detectors.hog.model import HogModel
from facepipe.detectors.hog.search import find_windows, place_faces
from facepipe.detectors.hog.word_tables import score_map
from facepipe.detectors.step_pictures import heat_picture, strokes_picture, words_picture
from facepipe.imaging import boxes
from facepipe.imaging.steps_picture import Step

Image = NDArray[np.uint8]

FINEST_FACTOR = 0.84  # a window's tolerance: with larger steps between scales, faces between them are missed
MOST_WINDOWS = 2000  # of a level, and of a photo, the best, are looked at further
LEAST_MARGIN = -1.0  # of windows that add to a face: farther away lie those that the classifier is sure of


class HOG:
    """Finds faces, on the processor.

    Attributes:
        min_face: least height of a face, in pixels of the upright photo.
        min_score: least score of a detection.
        factor: ratio between neighbouring scales of the image pyramid.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        min_face: float = 20.0,
        min_score: float = 0.1,
        factor: float = 0.709,
        device: str | torch.device | None = None,
    ) -> None:
        """Take over the weights.

        Args:
            weights: `HogModel`'s state dict.
            min_face: in pixels.
            min_score: 0 to 1.
            factor: between 0 and 1; one below FINEST_FACTOR is taken for that.
            device: doesn't matter: all is done on the processor.
        """
        self.min_face, self.min_score = min_face, min_score
        self.factor = max(factor, FINEST_FACTOR)
        self._model = HogModel.from_state(weights)

    def detect(self, images: Sequence[Image], scales: Sequence[float] | None = None) -> list[Detections]:
        """Return the faces of each image, by descending score; landmarks are None.

        Each image is looked at by itself, level by level, a few rows at once. Beside the image itself a grey copy of it
        is held, enlarged by up to twice each way where faces are smaller than the window's.

        Args:
            images: (H, W, 3) uint8 RGB, upright; one that is smaller than the least face has no faces.
            scales: pixels of each image per pixel of its upright photo, none: all 1. `min_face` counts in pixels of
                the photo.
        """
        return [
            self._detect(image, self.min_face * scale)
            for image, scale in zip(images, [1.0] * len(images) if scales is None else scales, strict=True)
        ]

    def explain(self, image: Image) -> list[Step]:
        """Return the cells' directions, the blocks' words and the windows' margins on one level, then the faces."""
        levels = photo_levels(image, self._model, min_face=self.min_face, factor=self.factor)
        scored = [(level, score_map(level.words, self._model.tables) + self._model.bias) for level in levels]
        if not any(scores.size for _, scores in scored):
            return [last_step(image, self.detect([image])[0])]
        level, scores = max(scored, key=lambda one: float(one[1].max(initial=-np.inf)))
        height, width = image.shape[:2]
        size = round(width / level.pixel[0]), round(height / level.pixel[1])
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        cells = cell_histograms(grey, level.cell, signed=True)
        return [
            Step(f"directions of gradients in cells of {level.cell} px", strokes_picture(cells, 360)),
            Step(
                f"words of blocks, {len(self._model.codebook)} in all",
                words_picture(level.words, len(self._model.codebook)),
            ),
            Step("margins of the windows that begin at each block", heat_picture(scores, -2.0, 1.0)),
            last_step(image, self.detect([image])[0]),
        ]

    def _detect(self, image: Image, min_face: float) -> Detections:
        found = find_windows(
            image, self._model, least_margin=LEAST_MARGIN, most=MOST_WINDOWS, min_face=min_face, factor=self.factor
        )
        faces = merge_boxes(place_faces(found.window, found.words, self._model), found.margin)
        score = self._model.score(faces.margin)
        height, width = image.shape[:2]
        clipped = boxes.clip(faces.box, width, height)
        kept = (boxes.area(clipped) > 0) & (score >= self.min_score)
        return Detections(clipped[kept], score[kept], None)
