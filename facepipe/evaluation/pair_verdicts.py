"""Who is right about which pair: so that two recognisers can be compared pair by pair."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.evaluation.lfw import area_under_roc, best_threshold, true_accept_rate

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]

PARTS = 10  # of a fold: each is judged with the threshold that is best on the others
CLEAR = 2.0  # standard errors: a smaller difference is none
FALSE_ACCEPT_RATE = 0.01


class Verdicts(NamedTuple):
    """What a recogniser says of a fold's pairs.

    Attributes:
        right: (P,) bool.
        auc: area under the ROC curve.
        tar: true accept rate at FALSE_ACCEPT_RATE.
    """

    right: Bools
    auc: float
    tar: float


class Difference(NamedTuple):
    """How far one recogniser is above another on the same pairs.

    Attributes:
        mean: of accuracy.
        se: its standard error over pairs.
    """

    mean: float
    se: float

    @property
    def clear(self) -> bool:
        """Whether there is one at all."""
        return abs(self.mean) > CLEAR * self.se


def verdicts_on(similarities: Floats, same: Bools) -> Verdicts:
    """Return which pairs of a fold are judged rightly.

    The fold's pairs are dealt out to ten parts; the threshold for each comes from the nine others. So no threshold has
    seen the pairs it judges, and none comes from people that the network has learned, who look more alike to it.

    Args:
        similarities: (P,) larger for photos that are more alike.
        same: (P,) bool, in an order in which both kinds come in runs; both must occur in every nine parts.
    """
    part = np.arange(len(same)) % PARTS
    right = np.empty(len(same), np.bool_)
    for number in range(PARTS):
        here = part == number
        threshold = best_threshold(similarities[~here], same[~here])
        right[here] = (similarities[here] >= threshold) == same[here]
    return Verdicts(right, area_under_roc(similarities, same), true_accept_rate(similarities, same, FALSE_ACCEPT_RATE))


def accuracy(right: Bools) -> Difference:
    """Return an accuracy and its standard error over pairs."""
    share = float(right.mean())
    return Difference(share, float(np.sqrt(share * (1 - share) / len(right))))


def compare(right: Bools, other: Bools) -> Difference:
    """Return how far one accuracy is above another of the same pairs (P,), with its standard error over pairs."""
    gains = right.astype(np.float64) - other
    return Difference(float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains))))
