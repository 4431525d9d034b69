"""Embeddings of people who don't exist, as a model would make them of photos (`models.face_spread`).

A face is its person's centre and a deviation, mixed so that its length is 1. Centres gather around types: look-alikes.
Deviations lie in a few directions that are the person's own (its conditions: age, pose, light), so that the covariance
of one person's faces is a draw from a Wishart distribution, and they lean towards the person's type: what makes a face
less like its person often makes it more like somebody similar.

All vectors here are in the d coordinates of the spread's axes; `to_embeddings` ends that.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.models.face_spread import FaceSpread

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# How the distance of people from their type varies (standard deviation of the logarithm of its square). 845 people say
# that it does, but hardly how far; at this value methods of grouping fare as on lfw-dev.
TYPICALITY = 0.45
MOST_DEVIATION = 0.95  # of a face's squared length
NUMBERS_AT_ONCE = 1 << 24  # random numbers drawn together: bounds the memory
ROWS_AT_ONCE = 65_536


class People(NamedTuple):
    """Who there is.

    Attributes:
        centres: (P, d) float32, unit length.
        leanings: (P, d) float32, unit length: where a person's type lies, as seen from its centre.
        levels: (P,) float32, the logarithm of the median share of deviation in each person's faces.
    """

    centres: Vectors
    leanings: Vectors
    levels: Vectors


def draw_people(spread: FaceSpread, count: int, rng: np.random.Generator) -> People:
    """Return people at random.

    Args:
        spread: of the model.
        count: how many, P.
        rng: decides.
    """
    shares = spread.shares.astype(np.float64)
    types = spread.types[rng.choice(len(shares), count, p=shares / shares.sum())]  # (P, d)
    spreads = np.exp(TYPICALITY * _normal(rng, (count, 1)) - np.float32(TYPICALITY**2 / 2))
    centres = _unit(types + np.sqrt(spreads * spread.between) * _normal(rng, types.shape))
    leanings = _unit(types - (types * centres).sum(axis=1, keepdims=True) * centres)
    median, between, _ = spread.deviation
    return People(centres, leanings, median + between * _normal(rng, (count,)))


def draw_faces(
    spread: FaceSpread, people: People, sizes: Ints, rng: np.random.Generator, centres: Vectors | None = None
) -> Vectors:
    """Return faces of people, (N, d) float32 of unit length, person by person.

    Args:
        spread: of the model.
        people: P of them.
        sizes: (P,) int64, faces of each, N in all.
        rng: decides.
        centres: (N, d) float32, unit length, where a face's person was when it was taken; None: they never change.
    """
    person = np.repeat(np.arange(len(sizes)), sizes)
    within = spread.deviation[2]
    shares = np.minimum(np.exp(people.levels[person] + within * _normal(rng, (len(person),))), MOST_DEVIATION)
    faces = _deviations(spread, sizes, rng)
    for start in range(0, len(faces), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        own = person[rows]
        lean = spread.leaning * _normal(rng, (len(own), 1))
        deviations = _unit(faces[rows] @ spread.directions + lean * people.leanings[own])
        where = people.centres[own] if centres is None else centres[rows]
        share = shares[rows, None]
        faces[rows] = _unit(np.sqrt(1 - share) * where + np.sqrt(share) * deviations)
    return faces


def draw_junk(spread: FaceSpread, count: int, rng: np.random.Generator) -> Vectors:
    """Return what a detector takes for faces, (count, d) float32 of unit length: all of it much alike."""
    mean, variances = spread.junk
    return _unit(mean + np.sqrt(variances) * _normal(rng, (count, len(mean))))


def nearly_same(faces: Vectors, share: float, spread: FaceSpread, rng: np.random.Generator) -> Vectors:
    """Return other photos of the same moments, (N, d) unit length: so much of their squared length is new."""
    deviations = _unit(_normal(rng, faces.shape) @ spread.directions)
    return _unit(np.float32(np.sqrt(1 - share)) * faces + np.float32(np.sqrt(share)) * deviations)


def towards(start: Vectors, others: Vectors, angles: npt.NDArray[np.floating]) -> Vectors:
    """Return unit vectors (N, d) turned by angles (N,), in radians, in the planes of `start` and `others`."""
    sideways = _unit(others - (others * start).sum(axis=1, keepdims=True) * start)
    turned: Vectors = np.cos(angles)[:, None] * start + np.sin(angles)[:, None] * sideways
    return turned.astype(np.float32)


def to_embeddings(coordinates: Vectors, spread: FaceSpread, rows: Ints | None = None) -> Vectors:
    """Return vectors as embeddings, (N, D) float32 of unit length.

    Args:
        coordinates: (N, d) float32.
        spread: of the model.
        rows: (N,) int64, where each goes; None: in the same order.
    """
    embeddings = np.empty((len(coordinates), len(spread.axes)), np.float32)
    for start in range(0, len(coordinates), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        embeddings[some if rows is None else rows[some]] = _unit(coordinates[some] @ spread.axes.T)
    return embeddings


def _deviations(spread: FaceSpread, sizes: Ints, rng: np.random.Generator) -> Vectors:
    """Return normal rows (N, d), person by person: those of one person lie in its conditions alone.

    People of equally many faces are drawn together.
    """
    conditions, coordinates = int(spread.conditions[0]), len(spread.between)
    starts = np.cumsum(sizes) - sizes
    deviations = np.empty((int(sizes.sum()), coordinates), np.float32)
    for size in np.unique(sizes).tolist():
        alike = starts[sizes == size]
        at_once = max(1, NUMBERS_AT_ONCE // ((conditions + size) * coordinates))
        for first in range(0, len(alike), at_once):
            some = alike[first : first + at_once]
            rows = some[:, None] + np.arange(size)  # (p, size)
            if size == 1:
                deviations[rows[:, 0]] = _normal(rng, (len(some), coordinates))
                continue
            ways = _normal(rng, (len(some), conditions, coordinates))
            amounts = _normal(rng, (len(some), size, conditions))
            deviations[rows] = amounts @ ways / np.float32(np.sqrt(conditions))
    return deviations


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Vectors:
    return rng.standard_normal(shape, np.float32)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit
