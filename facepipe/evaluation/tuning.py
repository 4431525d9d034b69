"""The comparison of methods of grouping: settings are tuned on one half of the people and judged on the other."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from facepipe.evaluation.clustering import ClusteringFigures, PrecisionRecall, compare_groups

Names = npt.NDArray[np.str_]
People = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Setting = TypeVar("Setting")

HALVES = ("even", "odd")


@dataclass(frozen=True)
class Method(Generic[Setting]):
    """A method of grouping with what tuning may choose.

    Attributes:
        group: rows (M,) int64 of the faces that make up the library, a setting and a seed in; (M,) int64 labels out, -1
            for unassigned.
        settings: those to try.
        seeds: the mean over these counts.
    """

    group: Callable[[Ints, Setting, int], Ints]
    settings: Sequence[Setting]
    seeds: Sequence[int] = (0,)

    @property
    def tries(self) -> int:
        """How often it groups a library where each setting is tried."""
        return len(self.settings) * len(self.seeds)

    def reporting(self, advance: Callable[[int], None]) -> "Method[Setting]":
        """Return the method, which says 1 to a function whenever it has grouped."""

        def group_rows(rows: Ints, setting: Setting, seed: int) -> Ints:
            labels = self.group(rows, setting, seed)
            advance(1)
            return labels

        return replace(self, group=group_rows)


@dataclass(frozen=True)
class MeanFigures:
    """Means of `evaluation.clustering.ClusteringFigures`, each number by itself (so F is a mean of F)."""

    bcubed: PrecisionRecall
    pairwise: PrecisionRecall
    groups: float
    unassigned: float
    largest_impure: float


@dataclass(frozen=True)
class JudgedHalf(Generic[Setting]):
    """How a method does on one half of the people.

    Attributes:
        tuned_on: the other half, `even` or `odd`.
        judged_on: this half.
        setting: the one of best BCubed F on the other half, of equally good ones the first.
        faces: of this half.
        figures: on this half.
    """

    tuned_on: str
    judged_on: str
    setting: Setting
    faces: int
    figures: MeanFigures


def half_of(names: Names) -> npt.NDArray[np.str_]:
    """Return each face's half, (N,): `even` or `odd` as its person's name's SHA-256 is."""
    people, person = np.unique(names, return_inverse=True)
    digests = [hashlib.sha256(str(name).encode("utf-8", "surrogateescape")).digest() for name in people]
    return np.array([HALVES[digest[-1] % 2] for digest in digests], np.str_)[person.reshape(-1)]


def try_settings(people: People, method: Method[Setting], rows: Ints | None = None) -> list[MeanFigures]:
    """Return the figures of each of a method's settings where some faces are the whole library.

    Args:
        people: (N,) who each face is.
        method: to be tried.
        rows: (M,) int64, the faces of the library; None for all.
    """
    rows = np.arange(len(people)) if rows is None else rows
    return [
        mean_figures([compare_groups(people[rows], method.group(rows, setting, seed)) for seed in method.seeds])
        for setting in method.settings
    ]


def judge_halves(names: Names, method: Method[Setting]) -> list[JudgedHalf[Setting]]:
    """Return how a method does on the odd half, tuned on the even one, and the other way round.

    Args:
        names: (N,) who each face is; both halves have people.
        method: to be judged.
    """
    half = half_of(names)
    tried = {name: try_settings(names, method, np.flatnonzero(half == name)) for name in HALVES}
    judged = []
    for tuned_on, judged_on in (HALVES, HALVES[::-1]):
        best = int(np.argmax([figures.bcubed.f for figures in tried[tuned_on]]))
        faces = int((half == judged_on).sum())
        judged.append(JudgedHalf(tuned_on, judged_on, method.settings[best], faces, tried[judged_on][best]))
    return judged


def mean_figures(figures: Sequence[ClusteringFigures | MeanFigures]) -> MeanFigures:
    """Return the means of figures, at least one."""

    def mean(values: Iterable[float]) -> float:
        return float(np.mean(list(values)))

    def means(each: Sequence[PrecisionRecall]) -> PrecisionRecall:
        return PrecisionRecall(
            mean(one.precision for one in each), mean(one.recall for one in each), mean(one.f for one in each)
        )

    return MeanFigures(
        bcubed=means([one.bcubed for one in figures]),
        pairwise=means([one.pairwise for one in figures]),
        groups=mean(one.groups for one in figures),
        unassigned=mean(one.unassigned for one in figures),
        largest_impure=mean(one.largest_impure for one in figures),
    )
