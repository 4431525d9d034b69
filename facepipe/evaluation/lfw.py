"""Face verification by the protocol of Labeled Faces in the Wild, View 2 (Huang et al. 2007, section 3)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from facepipe.errors import WrongUsageError

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

FALSE_ACCEPT_RATES = (0.01, 0.001)
THRESHOLDS = 1001  # tried between the least and the greatest similarity


class Pairs(NamedTuple):
    """Pairs of photos, in the order of the file.

    Attributes:
        left: P photos as `NAME/NAME_0001`, without the file name's ending.
        right: likewise.
        same: (P,) bool, whether both show one person.
        fold: (P,) int64, 0 and up.
    """

    left: list[str]
    right: list[str]
    same: Bools
    fold: Ints


@dataclass(frozen=True)
class Verification:
    """What the protocol reports; the names are those of `eval lfw --json`.

    Attributes:
        accuracy: mean of the folds' accuracies, 0 to 1.
        accuracy_se: its standard error: the folds' standard deviation over the root of their number.
        folds: accuracy of each fold, the threshold chosen, and whatever else is learned, on the others.
        auc: area under the ROC curve over all pairs.
        tar_at_far: true accept rate at each false accept rate over all pairs.
        pairs: how many there are.
    """

    accuracy: float
    accuracy_se: float
    folds: list[float]
    auc: float
    tar_at_far: dict[str, float]
    pairs: int


def read_pairs(path: Path) -> Pairs:
    """Return the pairs of a `pairs.txt`.

    The first line holds the number of folds and the number of pairs of each kind in a fold. Each fold follows with its
    pairs of one person, `name i j`, then its pairs of two people, `name i name j`; fields are parted by white space.

    Raises:
        WrongUsageError: the file can't be read or is not of that form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsageError(f"cannot read the pairs in {path}: {error}") from error
    folds, per_kind = _read_first_line(path, lines)
    expected = 1 + 2 * folds * per_kind
    while len(lines) > expected and not lines[-1].strip():
        lines.pop()
    if len(lines) != expected:
        raise WrongUsageError(
            f"{path} should have {expected} lines ({folds} folds of {per_kind} pairs of each kind), not {len(lines)}"
        )
    fold, in_fold = np.divmod(np.arange(2 * folds * per_kind), 2 * per_kind)
    same = in_fold < per_kind
    pairs = [
        _read_pair(path, number, line, is_same)
        for number, (line, is_same) in enumerate(zip(lines[1:], same.tolist(), strict=True), start=2)
    ]
    return Pairs([left for left, _ in pairs], [right for _, right in pairs], same, fold)


def verify(similarities: Floats, same: Bools, fold: Ints) -> Verification:
    """Return how well similarities tell pairs of one person from pairs of two.

    A pair counts as one person where its similarity is at least the threshold.

    Args:
        similarities: (P,) larger for photos that are more alike, such as cosines.
        same: (P,) bool, whether a pair shows one person; both kinds must occur.
        fold: (P,) int64, at least two different folds.
    """
    return verify_learned(lambda _: similarities, same, fold)


def verify_learned(judge: Callable[[Bools], Floats], same: Bools, fold: Ints) -> Verification:
    """Return how well similarities that are learned from the other folds tell pairs of one person from pairs of two.

    The area under the ROC curve and the accept rates are those of all pairs in one order, each pair's similarity
    learned without its fold. So similarities must mean the same whichever fold was left out
    (`pair_metrics.judge_pairs`).

    Args:
        judge: which pairs to learn from in, (P,) bool; the similarities of all pairs out, (P,), those of the pairs that
            are learned from such that a threshold between them suits the others.
        same: (P,) bool, whether a pair shows one person; both kinds must occur.
        fold: (P,) int64, at least two different folds.
    """
    names = np.unique(fold)
    if len(names) < 2 or same.all() or not same.any():
        raise WrongUsageError("LFW's protocol needs at least two folds, and pairs of one person and of two")
    accuracies = []
    similarities = np.empty(len(same))
    for name in names:
        here = fold == name
        judged = judge(~here)
        threshold = best_threshold(judged[~here], same[~here])
        accuracies.append(float(np.mean((judged[here] >= threshold) == same[here])))
        similarities[here] = judged[here]
    rates = {f"{rate:g}": true_accept_rate(similarities, same, rate) for rate in FALSE_ACCEPT_RATES}
    return Verification(
        accuracy=float(np.mean(accuracies)),
        accuracy_se=float(np.std(accuracies, ddof=1) / np.sqrt(len(accuracies))),
        folds=accuracies,
        auc=area_under_roc(similarities, same),
        tar_at_far=rates,
        pairs=len(same),
    )


def best_threshold(similarities: Floats, same: Bools) -> float:
    """Return the threshold of greatest expected accuracy, with each kind of pair smoothed by a normal kernel.

    The accuracy that is merely counted is flat around its maximum and jumps from pair to pair, so that where it peaks
    says little about other folds. The kernel's width is Silverman's (1986, equation 3.28).

    Args:
        similarities: (P,) larger for photos that are more alike.
        same: (P,) bool; both kinds must occur.
    """
    thresholds = np.linspace(similarities.min(), similarities.max(), THRESHOLDS)  # (T,)
    accepted = _smoothed_share_above(thresholds, similarities[same]) * same.sum()
    rejected = (1 - _smoothed_share_above(thresholds, similarities[~same])) * (~same).sum()
    right = accepted + rejected
    greatest = np.flatnonzero(right >= right.max() - 1e-9)
    return float(thresholds[greatest[len(greatest) // 2]])  # the middle one where nothing lies between the two kinds


def _smoothed_share_above(thresholds: Floats, similarities: Floats) -> Floats:
    """Return for each threshold (T,) the share of similarities above it, each of them blurred."""
    width = max(1.06 * float(similarities.std()) * len(similarities) ** -0.2, 1e-6)
    share: Floats = ndtr((similarities[None, :] - thresholds[:, None]) / width).mean(axis=1)  # (T, P) ► (T,)
    return share


def area_under_roc(similarities: Floats, same: Bools) -> float:
    """Return the share of (one person, two people) couples of pairs in the right order, ties counting half."""
    values, inverse = np.unique(similarities, return_inverse=True)
    positives = np.bincount(inverse[same], minlength=len(values))
    negatives = np.bincount(inverse[~same], minlength=len(values))
    below = np.concatenate([[0], np.cumsum(negatives)[:-1]])
    return float(np.sum(positives * (below + negatives / 2)) / (positives.sum() * negatives.sum()))


def true_accept_rate(similarities: Floats, same: Bools, false_accept_rate: float) -> float:
    """Return the greatest share of same-person pairs accepted while at most that share of the others is."""
    others = np.sort(similarities[~same])[::-1]  # descending
    allowed = int(np.floor(false_accept_rate * len(others) + 1e-9))
    if allowed >= len(others):
        return 1.0
    # Whatever is above the first similarity that must not be accepted may be accepted.
    return float(np.mean(similarities[same] > others[allowed]))


def _read_first_line(path: Path, lines: list[str]) -> tuple[int, int]:
    fields = lines[0].split() if lines else []
    if len(fields) != 2 or not all(field.isdecimal() for field in fields) or int(fields[0]) < 2 or int(fields[1]) < 1:
        raise WrongUsageError(
            f"the first line of {path} should hold two numbers, the folds (at least 2) and the pairs of each kind in a "
            f"fold, not {' '.join(fields)!r}"
        )
    return int(fields[0]), int(fields[1])


def _read_pair(path: Path, number: int, line: str, same: bool) -> tuple[str, str]:
    fields = line.split()
    if same and len(fields) == 3:
        fields = [fields[0], fields[1], fields[0], fields[2]]
    elif same or len(fields) != 4:
        fields = []
    if not fields or not (fields[1].isdecimal() and fields[3].isdecimal()):
        form = "a name and two numbers" if same else "a name, a number, a name and a number"
        raise WrongUsageError(f"line {number} of {path} should be {form}, not {line.strip()!r}")
    return photo_of(fields[0], int(fields[1])), photo_of(fields[2], int(fields[3]))


def photo_of(name: str, number: int) -> str:
    """Return LFW's path of a person's photo, without its ending: `NAME/NAME_0001`."""
    return f"{name}/{name}_{number:04d}"
