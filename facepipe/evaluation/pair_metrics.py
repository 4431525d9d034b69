"""How alike the faces of a pair are: by measures that need no learning, or by weights that labelled pairs teach.

Source: Taigman, Yang, Ranzato and Wolf, "DeepFace: Closing the Gap to Human-Level Performance in Face Verification"
(CVPR 2014), section 4: the inner product, the weighted chi-squared distance (4.1) and the distance that a Siamese
network induces (4.2). The Euclidean distance is FaceNet's and VGG-Face's.

Departs from the paper: of the Siamese network only the top layer is trained, the weights of |f1 - f2|, not the layers
beneath; how far weights may grow is chosen on the pairs that are learned from, since there are few beside 256 to 4,096
numbers a face.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.config import MetricName
from facepipe.errors import WrongUsageError
from facepipe.evaluation.lfw import area_under_roc

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# What the mean loss of a pair counts beside half the squared length of the weights, where the terms of pairs deviate
# from their mean by 1 (root of the mean squared length). At 1, weights hardly do more than follow the difference of the
# two kinds' means; at 1,000, 600 pairs and 1,024 numbers fit so well that other pairs suffer.
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
PARTS = 5
_TOLERANCE = 1e-6
_MOST_STEPS = 10_000

NEGATIVE_FEATURES = (
    "the metric chi2 is for features that are never negative, such as DeepFace's, or VGG-Face's without projection and "
    "mean: take such an embedder, or --metric cosine, l2 or siamese"
)


class Judged(NamedTuple):
    """Similarities that were learned: numbers of strangers' standard deviations above what is usual for strangers.

    Attributes:
        learned_from: (P,) float64, of the pairs that teach: each by what the other parts of them teach.
        others: (T,) float64, of other pairs.
    """

    learned_from: Floats
    others: Floats


class LearnedMetric(NamedTuple):
    """A weighted sum of terms, one a feature.

    Attributes:
        terms: features (P, D) of the left faces and of the right ones in, terms (P, D) out.
        fit: terms (P, D), which pairs show one person (P,), and the weight C of each pair's loss in; weights (D,) and
            offset out, the sum greater for pairs of one person.
    """

    terms: Callable[[Floats, Floats], Floats]
    fit: Callable[[Floats, Bools, float], tuple[Floats, float]]


def cosine_similarities(left: Floats, right: Floats) -> Floats:
    """Return the inner products (P,) of unit-length features (P, D), in their type."""
    similarities: Floats = (left * right).sum(axis=1)
    return similarities


def l2_similarities(left: Floats, right: Floats) -> Floats:
    """Return the Euclidean distances (P,) of features (P, D), negated, in their type."""
    similarities: Floats = -np.linalg.norm(left - right, axis=1)
    return similarities


def chi_squared_terms(left: Floats, right: Floats) -> Floats:
    """Return (f1 - f2)^2 / (f1 + f2), (P, D) float64; 0 where both are 0 (section 4.1).

    Args:
        left: (P, D), f1, none negative.
        right: likewise, f2.

    Raises:
        WrongUsageError: a feature is negative.
    """
    left, right = left.astype(np.float64), right.astype(np.float64)
    if min(left.min(initial=0), right.min(initial=0)) < 0:
        raise WrongUsageError(NEGATIVE_FEATURES)
    total = left + right
    return np.divide((left - right) ** 2, total, out=np.zeros_like(total), where=total > 0)


def absolute_differences(left: Floats, right: Floats) -> Floats:
    """Return |f1 - f2|, (P, D) float64, of features (P, D) (section 4.2)."""
    differences: Floats = np.abs(left.astype(np.float64) - right.astype(np.float64))
    return differences


def fit_support_vectors(terms: Floats, same: Bools, cost: float) -> tuple[Floats, float]:
    """Return weights (D,) and offset of a linear support vector machine (section 4.1).

    With a squared hinge loss, and the offset held small like the weights: they minimise
    (|weights|^2 + offset^2) / 2 + cost * sum of max(0, 1 - y * (weights · terms + offset))^2, y = ±1.

    Args:
        terms: (P, D).
        same: (P,) bool; both kinds must occur.
        cost: C, more than 0.
    """
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=cost, dual=False, tol=_TOLERANCE, max_iter=_MOST_STEPS).fit(terms, same)
    return machine.coef_[0], float(machine.intercept_[0])


def fit_logistic_unit(terms: Floats, same: Bools, cost: float) -> tuple[Floats, float]:
    """Return weights (D,) and offset of a logistic unit, by cross-entropy (section 4.2).

    They minimise |weights|^2 / 2 + cost * sum of log(1 + exp(-y * (weights · terms + offset))), y = ±1.

    Args:
        terms: (P, D).
        same: (P,) bool; both kinds must occur.
        cost: C, more than 0.
    """
    from sklearn.linear_model import LogisticRegression

    unit = LogisticRegression(C=cost, tol=_TOLERANCE, max_iter=_MOST_STEPS).fit(terms, same)
    return unit.coef_[0], float(unit.intercept_[0])


UNLEARNED: dict[MetricName, Callable[[Floats, Floats], Floats]] = {"cosine": cosine_similarities, "l2": l2_similarities}
LEARNED: dict[MetricName, LearnedMetric] = {
    "chi2": LearnedMetric(chi_squared_terms, fit_support_vectors),
    "siamese": LearnedMetric(absolute_differences, fit_logistic_unit),
}


def compare_pairs(
    metric: MetricName, features: Floats, learned_from: Ints, same: Bools, others: Ints, group: Ints | None = None
) -> Floats:
    """Return the similarities (T,) of pairs of faces, by what other pairs teach where the metric learns.

    Args:
        metric: which.
        features: (N, D) a row a face, of unit length for cosine.
        learned_from: (P, 2) rows of the pairs that teach.
        same: (P,) bool, whether those show one person.
        others: (T, 2) rows of the pairs that are compared.
        group: (P,) int64, such as the folds of the pairs that teach (`judge_pairs`).

    Raises:
        WrongUsageError: a feature is negative and the metric chi2, or there are too few pairs to learn from.
    """
    left, right = features[others[:, 0]], features[others[:, 1]]
    if metric in UNLEARNED:
        return UNLEARNED[metric](left, right)
    learned = LEARNED[metric]
    terms = learned.terms(features[learned_from[:, 0]], features[learned_from[:, 1]])
    return judge_pairs(learned, terms, same, learned.terms(left, right), group).others


def judge_by_fold(
    metric: MetricName, left: Floats, right: Floats, same: Bools, fold: Ints
) -> Callable[[Bools], Floats]:
    """Return what compares pairs for `evaluation.lfw.verify_learned`.

    Which pairs to learn from in, (P,) bool; similarities of all pairs out, (P,).

    Args:
        metric: which.
        left: (P, D) features of the pairs' left faces, of unit length for cosine.
        right: likewise, of their right faces.
        same: (P,) bool; only those of the pairs to learn from are looked at.
        fold: (P,) int64; the folds that are learned from are the parts in which strengths are tried.

    Raises:
        WrongUsageError: a feature is negative and the metric chi2.
    """
    if metric in UNLEARNED:
        similarities = UNLEARNED[metric](left, right)
        return lambda _: similarities
    learned = LEARNED[metric]
    terms = learned.terms(left, right)

    def judge(learn_from: Bools) -> Floats:
        judged = judge_pairs(learned, terms[learn_from], same[learn_from], terms[~learn_from], fold[learn_from])
        similarities = np.empty(len(same))
        similarities[learn_from], similarities[~learn_from] = judged
        return similarities

    return judge


def judge_pairs(metric: LearnedMetric, terms: Floats, same: Bools, others: Floats, group: Ints | None = None) -> Judged:
    """Return how alike the faces of other pairs are, and those of the pairs that teach it.

    The pairs are cut into parts. Each part is judged by what the others teach, with each of STRENGTHS; that with the
    greatest mean area under the parts' ROC curves counts, the least of them where several are equal. Other pairs are
    judged by what all parts teach. A pair is never judged by weights that it has taught: those would part the pairs of
    one person from the rest too well, so that a threshold between them would not fit other pairs.

    Similarities are standardised by the strangers among the pairs that teach (zero normalisation: Auckenthaler, Carey
    and Lloyd-Thomas, "Score Normalization for Text-Independent Speaker Verification Systems", 2000): one of 3 is as
    rare among strangers whichever pairs have taught it. So similarities that different folds have taught can be put
    into one order, which an area under the ROC curve and accept rates over all pairs need. No threshold's accuracy
    depends on it.

    Args:
        metric: whose terms they are.
        terms: (P, D) of the pairs that teach.
        same: (P,) bool, whether those show one person.
        others: (T, D) terms of the other pairs.
        group: (P,) int64, such as a fold's number: where there are several, groups make up the parts. They should share
            nobody, and each must have both kinds.

    Raises:
        WrongUsageError: there are fewer than two pairs of a kind.
    """
    part = _parts(same, group)
    held_out = [_judged_by_the_others(metric, terms, same, part, strength) for strength in STRENGTHS]
    best = int(np.argmax([_mean_area(scores, same, part) for scores in held_out]))
    strangers = held_out[best][~same]
    usual, deviation = float(strangers.mean()), float(strangers.std()) or 1.0
    found = _scores(metric, terms, same, others, STRENGTHS[best])
    return Judged((held_out[best] - usual) / deviation, (found - usual) / deviation)


def _parts(same: Bools, group: Ints | None) -> Ints:
    """Return each pair's part (P,), 0 and up; both kinds are in each."""
    fewest = int(min(same.sum(), (~same).sum()))
    if fewest < 2:
        raise WrongUsageError("a metric is learned from at least two pairs of one person and two of two people")
    if group is not None and len(np.unique(group)) > 1:
        number: Ints = np.unique(group, return_inverse=True)[1] % PARTS
        return number
    part = np.empty(len(same), np.int64)
    for kind in (same, ~same):  # neighbours stay together, since in LFW's files one person's pairs do
        count = int(kind.sum())
        part[kind] = np.arange(count) * min(PARTS, fewest) // count
    return part


def _judged_by_the_others(metric: LearnedMetric, terms: Floats, same: Bools, part: Ints, strength: float) -> Floats:
    """Return the score (P,) of each pair by what the other parts teach."""
    scores = np.empty(len(same))
    for number in np.unique(part):
        here = part == number
        scores[here] = _scores(metric, terms[~here], same[~here], terms[here], strength)
    return scores


def _scores(metric: LearnedMetric, terms: Floats, same: Bools, others: Floats, strength: float) -> Floats:
    """Return the scores (T,) of the terms (T, D) of other pairs by what pairs (P,) teach: more than 0 for one person.

    A pair's loss counts the less the more pairs there are, so that scores keep their scale when a part is left out.
    """
    centre = terms.mean(axis=0)
    scale = float(np.sqrt(((terms - centre) ** 2).sum(axis=1).mean())) or 1.0
    weights, offset = metric.fit((terms - centre) / scale, same, strength / len(same))
    scores: Floats = (others - centre) @ (weights / scale) + offset
    return scores


def _mean_area(scores: Floats, same: Bools, part: Ints) -> float:
    """Return the mean of the areas under the parts' ROC curves."""
    parts = [part == number for number in np.unique(part)]
    return float(np.mean([area_under_roc(scores[here], same[here]) for here in parts]))
