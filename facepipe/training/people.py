"""Faces of people that a recogniser learns from: who is held out, and whose faces make a batch.

Source: Schroff, Kalenichenko and Philbin 2015 (FaceNet), section 3.2: some faces of each of a few people, and randomly
sampled negatives.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from facepipe.errors import TrainingError

Ints = npt.NDArray[np.int64]

NOBODY = -1  # whose face is not learned from, nor judged by

HELD_OUT_SHARE = 0.1  # of the people with several faces, and of the others
LEAST_HELD_OUT = 2  # people with several faces: fewer make no pairs to judge by


@dataclass(frozen=True)
class PeopleSampler:
    """Draws batches of P people with K faces each, and R faces of others.

    Attributes:
        person: (N,) who each face is.
        people: P, at least 1, of those with at least two faces.
        faces: K of each, at least 2, with replacement where a person has fewer.
        others: R faces of other people, one of each, as far as there are so many; 0: none.
    """

    person: Ints
    people: int
    faces: int
    others: int

    def __post_init__(self) -> None:
        """Check that there are such batches.

        Raises:
            TrainingError: there are not.
        """
        if self.faces < 2:
            raise TrainingError("a person needs at least 2 faces in a batch: with fewer there is no positive")
        if len(self._several) < 2:
            raise TrainingError(
                f"{len(self._several)} of {len(self._rows_of)} people have more than one face: triplets need at least "
                "2 such people besides those held out"
            )

    @cached_property
    def _rows_of(self) -> dict[int, Ints]:
        order = np.argsort(self.person, kind="stable")
        names, starts = np.unique(self.person[order], return_index=True)
        return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))

    @cached_property
    def _several(self) -> Ints:
        return np.array([name for name, rows in self._rows_of.items() if len(rows) > 1], np.int64)

    @property
    def rows(self) -> int:
        """How many faces a batch has, where there are enough people."""
        return min(self.people, len(self._several)) * self.faces + self.others

    def draw(self, rng: np.random.Generator) -> Ints:
        """Return the rows (P K + R,) of a batch: person after person, then the others.

        With fewer than P people of several faces all of these; without others, (P K,).
        """
        chosen = rng.choice(self._several, min(self.people, len(self._several)), replace=False)
        rows = [self._some_of(name, rng) for name in chosen.tolist()]
        remaining = np.setdiff1d(list(self._rows_of), chosen)
        if len(remaining):
            others = rng.choice(remaining, self.others, replace=len(remaining) < self.others)
            rows.append(np.array([rng.choice(self._rows_of[name]) for name in others.tolist()], np.int64))
        return np.concatenate(rows)

    def _some_of(self, name: int, rng: np.random.Generator) -> Ints:
        rows = self._rows_of[name]
        return rng.choice(rows, self.faces, replace=len(rows) < self.faces)


def hold_out(person: Ints, seed: int) -> npt.NDArray[np.bool_]:
    """Return which faces (N,) are of people who are held out to judge a network by: a tenth, of each kind.

    People with several faces and people with one are drawn apart; of the former at least LEAST_HELD_OUT.

    Args:
        person: (N,) who each face is, or NOBODY.
        seed: decides who.

    Raises:
        TrainingError: too few people have several faces.
    """
    names, counts = np.unique(person[person != NOBODY], return_counts=True)
    several, single = names[counts > 1], names[counts == 1]
    if len(several) < 2 * LEAST_HELD_OUT:
        raise TrainingError(
            f"{len(several)} of {len(names)} people have more than one face: training needs at least "
            f"{2 * LEAST_HELD_OUT} such people, {LEAST_HELD_OUT} of them to judge the network by"
        )
    rng = np.random.default_rng([seed, len(names)])
    drawn = [
        rng.choice(several, max(LEAST_HELD_OUT, round(HELD_OUT_SHARE * len(several))), replace=False),
        rng.choice(single, round(HELD_OUT_SHARE * len(single)), replace=False),
    ]
    held: npt.NDArray[np.bool_] = np.isin(person, np.concatenate(drawn))
    return held


def split(person: Ints, seed: int) -> tuple[Ints, Ints]:
    """Return which faces (M,) are learned from, and which (H,), of people held out (`hold_out`), judge what is learned.

    Both are rows of `person`; the latter are in the order of how many of them are of the same person, most first.

    Args:
        person: (N,) who each face is, or NOBODY.
        seed: decides who is held out.

    Raises:
        TrainingError: too few people have several faces.
    """
    held_out = hold_out(person, seed)
    return np.flatnonzero(~held_out & (person != NOBODY)), most_faces_first(np.flatnonzero(held_out), person)


def faces_of_each(person: Ints) -> Ints:
    """Return for each face (N,) how many of them are of the same person."""
    _, inverse, counts = np.unique(person, return_inverse=True, return_counts=True)
    of_each: Ints = counts[inverse].astype(np.int64)
    return of_each


def rank_of_each(person: Ints) -> Ints:
    """Return for each face (N,) how many of the same person stand before it."""
    order = np.argsort(person, kind="stable")
    _, starts, counts = np.unique(person[order], return_index=True, return_counts=True)
    ranks = np.empty(len(person), np.int64)
    ranks[order] = np.arange(len(person)) - np.repeat(starts, counts)
    return ranks


def most_faces_first(rows: Ints, person: Ints) -> Ints:
    """Return rows in the order of how many of them are of the same person, most first."""
    order: Ints = rows[np.lexsort((person[rows], -faces_of_each(person[rows])))]
    return order
