"""Face quality fitted to, and judged by, what embeddings of degraded photos keep."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, xlogy
from scipy.stats import spearmanr

from facepipe.models.face_quality import MEASURES, FaceQuality, Term

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
Measures = Mapping[str, Floats]

ROUGHNESS = 3.0  # penalty on the square of the change of slope from piece to piece, which keeps curves smooth
RIDGE = 0.15  # penalty on the square of each step, which lets curves without evidence lie flat


class Curve(NamedTuple):
    """What a measure's curve may look like.

    Attributes:
        knots: (K,) ascending.
        steps: (K - 1,) least and greatest step of the logit from knot to knot.
    """

    knots: npt.NDArray[np.float64]
    steps: Sequence[tuple[float | None, float | None]]


def _rising(*knots: float) -> Curve:
    return Curve(np.array(knots, np.float64), [(0.0, None)] * (len(knots) - 1))


def _falling(*knots: float, last: float = 0.0) -> Curve:
    return Curve(np.array(knots, np.float64), [(None, 0.0)] * (len(knots) - 2) + [(None, -last)])


# A face can only be trusted more with more pixels, sharpness, contrast and certainty, and less with more noise and the
# farther it is turned, whatever a few hundred photos say. Knots lie where faces lie.
# Above 64 pixels, size counts no more: sharpness, measured at 128, says what more pixels bring, while in LFW, where all
# faces are equally large, only what spoils a box (an edge, a hand) makes it smaller.
# Photos of the press hold hardly a face turned by more than 45 degrees or nodding by more than 30, so that no fit can
# know what a profile costs. That its logit falls by at least 3 (from 0.95 to 0.5) is set here, not fitted.
CURVES: dict[str, Curve] = {
    "score": _rising(0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 1.0),
    "size": _rising(16, 24, 32, 48, 64),
    "sharpness": _rising(0.15, 0.20, 0.25, 0.30, 0.35, 0.40),
    "noise": _falling(0.15, 0.22, 0.30, 0.45, 0.70),
    "contrast": _rising(20, 50, 80, 120, 160),
    "brightness": Curve(
        np.array([20.0, 60, 100, 150, 190, 230]), [(0.0, None), (0.0, None), (0.0, 0.0), (None, 0.0), (None, 0.0)]
    ),
    "yaw": _falling(0, 25, 45, 90, last=3.0),
    "pitch": _falling(0, 15, 30, 60, last=3.0),
    "roll": _falling(0, 15, 30, 45, 60, 90),
    "inside": _rising(0.5, 0.75, 1.0),
}


def match_survival(
    embeddings: Floats,
    photo: npt.NDArray[np.integer],
    people: npt.NDArray[np.str_],
    references: Floats,
    threshold: float,
) -> Floats:
    """Return how many of the person's other photos each face still matches, as a share, (N,) float64.

    Args:
        embeddings: (N, D) of faces, unit length.
        photo: (N,) the reference that each face is, or is a copy of: it doesn't count as another photo.
        people: (R,) whom each reference shows; each at least twice.
        references: (R, D) of the photos as they were.
        threshold: least similarity of a match.
    """
    partner = people[photo][:, None] == people[None, :]  # (N, R)
    partner[np.arange(len(photo)), photo] = False
    matched = (embeddings @ references.T >= threshold) & partner
    share: Floats = matched.sum(axis=1) / partner.sum(axis=1)
    return share


def threshold_at(references: Floats, people: npt.NDArray[np.str_], false_match_rate: float) -> float:
    """Return the similarity that pairs of two people reach at a given rate.

    Args:
        references: (R, D), unit length.
        people: (R,) whom each shows.
        false_match_rate: 0 to 1.
    """
    first, second = np.triu_indices(len(references), 1)
    others = people[first] != people[second]
    similarities = (references @ references.T)[first, second][others]
    return float(np.quantile(similarities, 1 - false_match_rate))


def fit_quality(measures: Measures, survival: Floats) -> FaceQuality:
    """Return the additive model of greatest likelihood whose curves rise and fall as CURVES allows, smoothed.

    Args:
        measures: (N,) for each of MEASURES, none unknown; angles count without their sign.
        survival: (N,) 0 to 1, what the quality is to foretell.
    """
    shares = [_shares_of_steps(np.abs(measures[name]), CURVES[name].knots) for name in MEASURES]
    design = np.concatenate([np.ones((len(survival), 1)), *shares], axis=1)  # (N, 1 + all steps)
    bends = _bends(design.shape[1])
    bounds = [(None, None), *(step for name in MEASURES for step in CURVES[name].steps)]

    def loss(steps: Floats) -> tuple[float, Floats]:
        probability = expit(design @ steps)
        likelihood = xlogy(survival, probability) + xlogy(1 - survival, 1 - probability)
        bent = bends @ steps
        penalty = ROUGHNESS * bent @ bent + RIDGE * steps[1:] @ steps[1:]
        slope = design.T @ (probability - survival) + 2 * ROUGHNESS * bends.T @ bent + 2 * RIDGE * np.r_[0, steps[1:]]
        return float(penalty - likelihood.sum()), slope

    start = np.array([0.0 if low is None or high is not None else low for low, high in bounds])
    steps = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 5000}).x
    terms, first = {}, 1
    for name, share in zip(MEASURES, shares, strict=True):
        own = steps[first : first + share.shape[1]]
        terms[name] = Term(CURVES[name].knots, np.r_[0, np.cumsum(own)], float((share @ own).mean()))
        first += share.shape[1]
    return FaceQuality(float(steps[0]), terms)


def rank_correlation(first: Floats, second: Floats) -> float:
    """Return Spearman's rank correlation of two rows (N,); 0 where one is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(spearmanr(first, second).statistic)


def errors_after_reject(confidence: Floats, wrong: Bools, rejected: tuple[float, ...]) -> dict[str, float]:
    """Return the share of wrong decisions among those left once the least confident ones are left out.

    Source: Grother and Tabassi, "Performance of biometric quality measures" (PAMI 2007, section 4.2).

    Args:
        confidence: (P,); for a pair, that of its worse photo.
        wrong: (P,) bool.
        rejected: shares of the decisions to leave out, 0 to less than 1. Of equals, earlier ones go first.
    """
    order = np.argsort(confidence, kind="stable")
    return {f"{share:g}": float(wrong[order[int(share * len(order)) :]].mean()) for share in rejected}


def calibration(quality: Floats, survival: Floats, bins: int = 5) -> list[dict[str, float]]:
    """Return, for bins of equal width, how many faces have such a quality, its mean and the mean survival."""
    place = np.minimum((quality * bins).astype(int), bins - 1)
    rows = []
    for index in range(bins):
        here = place == index
        if here.any():
            means = {"quality": float(quality[here].mean()), "survival": float(survival[here].mean())}
            rows.append({"faces": int(here.sum()), **means})
    return rows


def _shares_of_steps(measure: Floats, knots: Floats) -> Floats:
    """Return how much of each step from knot to knot a measure (N,) has climbed: (N, K - 1), 0 to 1."""
    climbed: Floats = np.clip((measure[:, None] - knots[:-1]) / np.diff(knots), 0, 1)
    return climbed


def _bends(width: int) -> Floats:
    """Return (B, width): each row takes the change of slope at one inner knot from the steps."""
    rows, first = [], 1
    for name in MEASURES:
        lengths = np.diff(CURVES[name].knots)
        lengths = lengths / lengths.mean()
        for step in range(len(lengths) - 1):
            row = np.zeros(width)
            row[first + step], row[first + step + 1] = -1 / lengths[step], 1 / lengths[step + 1]
            rows.append(row)
        first += len(lengths)
    return np.array(rows)
