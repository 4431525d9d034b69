"""Windows of a photo that a classifier takes for faces, and where in them the faces are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facepipe.detectors.hog.levels import photo_levels
from facepipe.detectors.hog.model import HogModel
from facepipe.detectors.hog.word_tables import Words, count_map, score_map, sum_entries, words_of_windows

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

MOST_PLAIN = 0.5  # of a window's blocks: with more of them plain there is too little to judge


@dataclass(frozen=True)
class FoundWindows:
    """Windows, by descending margin.

    Attributes:
        window: (N, 4) float32 `box_xyxy` in pixels of the photo; they may reach past it.
        margin: (N,) float32, how far on the faces' side of the classifier's plane.
        words: (N, P * P) of their blocks.
    """

    window: Floats
    margin: Floats
    words: Words


def find_windows(
    image: Image, model: HogModel, *, least_margin: float, most: int, min_face: float, factor: float
) -> FoundWindows:
    """Return the windows of a photo whose margin is greatest, of those that aren't plain ground for the most part.

    Args:
        image: (H, W, 3) uint8 RGB.
        model: whose classifier judges.
        least_margin: windows below it are left out.
        most: windows of each level, and of all of them.
        min_face: height of the least face, in pixels of the image.
        factor: ratio between neighbouring scales of the image pyramid.
    """
    places, plain = model.blocks**2, model.codebook.plain
    windows, margins = [np.empty((0, 4), np.float32)], [np.empty(0, np.float32)]
    words = [np.empty((0, places), np.intp)]
    for level in photo_levels(image, model, min_face=min_face, factor=factor):
        scores = score_map(level.words, model.tables) + np.float32(model.bias)
        passes = scores >= least_margin
        if passes.any():
            passes &= count_map(plain[level.words], model.blocks) <= MOST_PLAIN * places
        rows, columns = np.nonzero(passes)
        best = _best(scores[rows, columns], most)
        rows, columns = rows[best], columns[best]
        windows.append(level.windows(rows, columns))
        margins.append(scores[rows, columns])
        words.append(words_of_windows(level.words, rows, columns, model.blocks))
    margin = np.concatenate(margins)
    best = _best(margin, most)
    return FoundWindows(np.concatenate(windows)[best], margin[best], np.concatenate(words)[best])


def shows_enough(words: Words, model: HogModel) -> NDArray[np.bool_]:
    """Return which windows, by their words (N, P * P), aren't plain ground for the most part, (N,)."""
    return np.asarray(model.codebook.plain[words].mean(axis=1) <= MOST_PLAIN)


def mean_faces(window: Floats, model: HogModel) -> Floats:
    """Return where the mean face lies in windows (N, 4), (N, 4) float32."""
    return _faces(window, np.broadcast_to(model.box_mean, window.shape))


def place_faces(window: Floats, words: Words, model: HogModel) -> Floats:
    """Return where, by their words (N, P * P), the faces lie in windows (N, 4), (N, 4) float32."""
    return _faces(window, model.box_mean + sum_entries(words, model.box_tables))


def _faces(window: Floats, place: Floats) -> Floats:
    """Return boxes of centres and sizes that are given from the windows' centres and in units of their sides."""
    side = np.tile(window[:, 2:] - window[:, :2], 2)  # (N, 4)
    centre = (window[:, :2] + window[:, 2:]) / 2 + (place * side)[:, :2]
    half = np.maximum((place * side)[:, 2:], 0) / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def _best(margin: Floats, most: int) -> Words:
    return np.argsort(-margin, kind="stable")[:most]
