"""The arrangement of parts in a window is learned: where in it each part lies, and how much each says.

Source: Yang, Luo, Loy and Tang 2015 (faceness), section 3.2: of all places that a part's region may have, the one of
the greatest posterior probability, given windows that are labelled faces or none.

Departs from the paper: regions are rectangles on a grid, all equally likely beforehand; then the parts' weights are
learned together, each with a normal prior, by the same logistic likelihood.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facepipe.detectors.faceness import ASPECT, SIZES, WINDOW
from facepipe.detectors.faceness_score import Arrangement, integral, log_ratio
from facepipe.imaging.boxes import iou
from facepipe.models.faceness_networks import PARTS, PartNet

Floats = NDArray[np.float64]

FACE_FROM, NONE_BELOW = 0.6, 0.35  # overlap (IoU) of windows with faces that makes them faces, or none
FLOORS = (0.05, 0.1, 0.2, 0.4, 0.8)
PRIOR_SPREAD = 3.0  # of weights
MOST_WINDOWS = 4_000  # of each label


class LabelledWindows(NamedTuple):
    """Windows of one size on the response maps of crops.

    Attributes:
        height: of the windows, in cells.
        chosen: indices into the flattened (crops, rows, columns) of all windows.
        is_face: (N,) of the chosen.
    """

    height: float
    chosen: NDArray[np.intp]
    is_face: NDArray[np.bool_]


def learn_arrangement(responses: NDArray[np.floating], faces: NDArray[np.floating], seed: int) -> Arrangement:
    """Return the arrangement of the greatest posterior probability.

    Args:
        responses: (N, 5, H, W) of crops, 0 to 1.
        faces: (N, F, 4) boxes in pixels of the crops; NaN where there are fewer.
        seed: decides which windows are used.
    """
    rng = np.random.default_rng(seed)
    windows = [_label(responses.shape, faces, size * WINDOW / PartNet.cell, rng) for size in SIZES]
    is_face = np.concatenate([labelled.is_face for labelled in windows])
    sums = [integral(responses[:, part]) for part in range(len(PARTS))]  # each (N, H + 1, W + 1)
    best = None
    for floor in FLOORS:
        regions, ratios = [], []
        for of_part in sums:
            tried = [(region, _ratios(of_part, region, windows, floor)) for region in _grid()]
            posteriors = [fit_logistic(ratio[:, None], is_face)[1] for _, ratio in tried]
            region, ratio = tried[int(np.argmax(posteriors))]
            regions.append(region)
            ratios.append(ratio)
        coefficients, posterior = fit_logistic(np.stack(ratios, axis=1), is_face)
        if best is None or posterior > best[0]:
            best = posterior, Arrangement(np.stack(regions), coefficients[:-1], float(coefficients[-1]), floor)
    if best is None:
        raise ValueError("there is no floor to try")
    return best[1]


def fit_logistic(ratios: Floats, is_face: NDArray[np.bool_], steps: int = 8) -> tuple[Floats, float]:
    """Return the coefficients (K + 1,), the bias last, of the greatest posterior probability, and its logarithm.

    Newton's method; both labels count alike, whatever their numbers.

    Args:
        ratios: (N, K).
        is_face: (N,).
        steps: of Newton's method.
    """
    values = np.concatenate([ratios, np.ones((len(ratios), 1))], axis=1)
    weight = np.where(is_face, 0.5 / max(is_face.sum(), 1), 0.5 / max((~is_face).sum(), 1)) * len(ratios)
    precision = np.full(values.shape[1], 1 / PRIOR_SPREAD**2)
    precision[-1] = 1e-6
    coefficients = np.zeros(values.shape[1])
    for _ in range(steps):
        probability = 1 / (1 + np.exp(-np.clip(values @ coefficients, -30, 30)))
        slope = values.T @ (weight * (is_face - probability)) - precision * coefficients
        curve = (values * (weight * probability * (1 - probability))[:, None]).T @ values + np.diag(precision)
        coefficients = coefficients + np.linalg.solve(curve, slope)
    margin = np.where(is_face, 1, -1) * (values @ coefficients)
    posterior = -(weight * np.logaddexp(0, -margin)).sum() - (precision * coefficients**2).sum() / 2
    return coefficients, float(posterior)


def _grid() -> Iterator[Floats]:
    """Yield the regions that are tried: in the window's middle from left to right, at any height."""
    for margin in (0.0, 0.1, 0.2, 0.3):
        for top in np.arange(0, 9) / 10:
            for height in (0.2, 0.3, 0.4):
                if top + height <= 1 + 1e-9 and (margin or height < 1):
                    yield np.array([margin, top, 1 - margin, min(top + height, 1.0)])


def _ratios(sums: Floats, region: Floats, windows: Sequence[LabelledWindows], floor: float) -> Floats:
    """Return the log ratios (N,) of one part in all labelled windows."""
    return np.concatenate(
        [
            log_ratio(sums, region, labelled.height * ASPECT, labelled.height, floor).ravel()[labelled.chosen]
            for labelled in windows
        ]
    )


def _label(
    shape: tuple[int, ...], faces: NDArray[np.floating], height: float, rng: np.random.Generator
) -> LabelledWindows:
    """Return some of the windows of one size on crops, and whether each shows a face."""
    rows, columns = int(shape[2] - height + 1e-9) + 1, int(shape[3] - height * ASPECT + 1e-9) + 1
    corner = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)  # rows first
    box = np.concatenate([corner, corner + np.array([height * ASPECT, height])], axis=1) * PartNet.cell
    overlap = np.zeros((len(faces), len(box)))
    for crop, of_crop in enumerate(faces):
        known = of_crop[~np.isnan(of_crop[:, 0])]
        if len(known):
            overlap[crop] = iou(box, known).max(axis=1)
    flat = overlap.ravel()
    chosen = np.concatenate(
        [
            rng.permutation(np.flatnonzero(flat >= FACE_FROM))[:MOST_WINDOWS],
            rng.permutation(np.flatnonzero(flat < NONE_BELOW))[:MOST_WINDOWS],
        ]
    )
    return LabelledWindows(height, chosen, flat[chosen] >= FACE_FROM)
