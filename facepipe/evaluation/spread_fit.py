"""How a model's faces spread, fitted to photos of people (`models.face_spread`).

Every person weighs the same, however many photos there are. What moments of the faces say directly is taken from them.
What they say only through each other (how large deviations are, how that varies, how faces lean) is found by indirect
inference (Gouriéroux, Monfort, Renault 1993): faces are made with the same numbers of photos, measured as the real ones
are, and the parameters moved until both measure the same.
"""

from typing import NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from facepipe.errors import WrongUsageError
from facepipe.evaluation.made_faces import draw_faces, draw_people
from facepipe.models.face_spread import FaceSpread

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

COORDINATES = 96  # axes that are kept; what facenet-casia-webface leaves beyond is 0.01 % of the squared length
TYPES = 64
LEAST_PEOPLE = 3  # of a type: none is a single person, or two
LEAST_FACES = 4  # of a person whose own covariance counts
SIMILAR, DISSIMILAR = 0.4, 0.25  # cosines of centres above and below which people are look-alikes or not
SEED = 19930707
ROUNDS, LIBRARIES = 6, 6  # of indirect inference, and how many libraries are made in each
STEP = 0.7  # how far each round goes
ITERATIONS = 100  # of expectation maximisation
LEAST_VARIANCE = 1e-7
LEAST_LEANING = 0.01
START = (0.3, 0.2, 0.3, 0.01)  # of indirect inference: in the order of `Measured`, what moves each


class Measured(NamedTuple):
    """What is measured of faces, real or made; each is above 0.

    Attributes:
        distance: of two faces of a person: one minus the mean cosine.
        between: spread between people of the logarithm of their faces' mean deviation.
        within: its spread between the faces of a person.
        leaning: how much more faces vary towards look-alikes than towards others, as a share.
    """

    distance: float
    between: float
    within: float
    leaning: float


class _Sample(NamedTuple):
    """Faces in coordinates, with what is often needed.

    Attributes:
        faces: (N, d).
        person: (N,) int64, 0 to P - 1.
        sizes: (P,) int64.
        centres: (P, d), means.
        multiple: (M,) int64, rows of faces whose person has several.
        residuals: (M, d), their deviations from the means, made longer by what the mean takes from them.
        weights: (M,), each person's sum is 1.
    """

    faces: Floats
    person: Ints
    sizes: Ints
    centres: Floats
    multiple: Ints
    residuals: Floats
    weights: Floats


def fit_spread(
    embeddings: npt.NDArray[np.floating], people: npt.NDArray[np.str_] | Ints, junk: npt.NDArray[np.floating]
) -> FaceSpread:
    """Return how faces spread.

    Args:
        embeddings: (N, D), unit length.
        people: (N,) who each face is.
        junk: (J, D), unit length: of what a detector takes for faces without being sure.

    Raises:
        WrongUsageError: there are too few people, too few with several faces, or no junk.
    """
    person = np.unique(people, return_inverse=True)[1].reshape(-1).astype(np.int64)
    sizes = np.bincount(person)
    if len(sizes) < 2 * TYPES or (sizes >= 2 * LEAST_FACES).sum() < 2 or len(junk) < 2:
        raise WrongUsageError(
            f"there are too few faces to fit to: it takes {2 * TYPES} people, two of them with {2 * LEAST_FACES} "
            "faces, and two detections that are no faces"
        )
    whole = _sample(embeddings.astype(np.float64), person)
    axes = _axes(whole)
    inside = whole.faces @ axes
    sample = _sample(inside / np.linalg.norm(inside, axis=1, keepdims=True), person)
    types, shares, between = _fit_types(sample)
    directions, conditions = _fit_directions(sample)
    nobody = junk.astype(np.float64) @ axes
    start = FaceSpread(
        axes=axes,
        types=types,
        shares=shares,
        between=between,
        directions=directions,
        conditions=np.array([conditions]),
        deviation=np.zeros(3),
        leaning=np.zeros(1),
        junk=np.stack([nobody.mean(axis=0), nobody.var(axis=0)]),
    )
    start = FaceSpread(*(tensor.astype(np.float32) for tensor in start))
    return _infer(start, measure_faces(sample.faces, person), sizes)


def measure_faces(faces: npt.NDArray[np.floating], person: Ints) -> Measured:
    """Return what indirect inference compares.

    Args:
        faces: (N, d), unit length.
        person: (N,) int64, 0 to P - 1.
    """
    sample = _sample(faces.astype(np.float64), person)
    sizes = sample.sizes
    several = sizes > 1
    sums = sample.centres * sizes[:, None]
    cosines = ((sums**2).sum(axis=1) - sizes)[several] / (sizes * (sizes - 1))[several]
    energies = np.log((sample.residuals**2).sum(axis=1))  # (M,)
    owners = person[sample.multiple]
    counted = np.flatnonzero(sizes >= LEAST_FACES)
    own = [energies[owners == one] for one in counted]
    return Measured(
        distance=float(1 - cosines.mean()),
        between=float(np.std([values.mean() for values in own], ddof=1)),
        within=float(np.sqrt(np.mean([values.var(ddof=1) for values in own]))),
        leaning=_leaning(sample, counted),
    )


def _sample(faces: Floats, person: Ints) -> _Sample:
    sizes = np.bincount(person)
    sums = np.zeros((len(sizes), faces.shape[1]))
    np.add.at(sums, person, faces)
    centres = sums / sizes[:, None]
    multiple = np.flatnonzero(sizes[person] > 1)
    owner = person[multiple]
    grow = np.sqrt(sizes[owner] / (sizes[owner] - 1))
    residuals = (faces[multiple] - centres[owner]) * grow[:, None]
    return _Sample(faces, person, sizes, centres, multiple, residuals, 1 / sizes[owner])


def _axes(sample: _Sample) -> Floats:
    """Return the directions (D, d) in which faces lie, first those in which people differ most."""
    weights = 1 / sample.sizes[sample.person] / len(sample.sizes)
    _, filled = np.linalg.eigh((sample.faces * weights[:, None]).T @ sample.faces)  # ascending
    filled = filled[:, -COORDINATES:]
    _, order = np.linalg.eigh(filled.T @ _covariance_of_people(sample) @ filled)
    axes: Floats = (filled @ order)[:, ::-1]
    return axes


def _covariance_of_people(sample: _Sample) -> Floats:
    """Return the second moments (D, D) of people's centres: those of their means, less what few faces add to these."""
    weights = sample.weights / sample.weights.sum()
    within = (sample.residuals * weights[:, None]).T @ sample.residuals
    moments: Floats = sample.centres.T @ sample.centres / len(sample.centres) - within * np.mean(1 / sample.sizes)
    return moments


def _fit_types(sample: _Sample) -> tuple[Floats, Floats, Floats]:
    """Return types (T, d), their shares (T,) and the variances around them (d,), for centres of unit length.

    A mixture of normal distributions of one diagonal covariance, by expectation maximisation (Dempster, Laird, Rubin
    1977); each person's mean is its centre and a known error. Types are drawn to the middle as by one person there. The
    one of fewest people is left out until all have enough.
    """
    weights = sample.weights / sample.weights.sum()
    within = (sample.residuals**2 * weights[:, None]).sum(axis=0)  # (d,)
    whole = np.maximum(np.diag(_covariance_of_people(sample)), LEAST_VARIANCE)
    length = np.sqrt(whole.sum())
    centres, error = sample.centres / length, within / sample.sizes[:, None] / length**2  # (P, d)
    prior = whole / length**2
    kmeans = faiss.Kmeans(centres.shape[1], TYPES, niter=30, seed=SEED, min_points_per_centroid=1)
    kmeans.train(centres.astype(np.float32))
    types = np.asarray(kmeans.centroids, np.float64).reshape(TYPES, -1)
    shares, between = np.full(TYPES, 1 / TYPES), prior / 2
    iteration = 0
    while iteration < ITERATIONS:
        variances = between + error  # (P, d)
        distances = np.stack([((centres - one) ** 2 / variances).sum(axis=1) for one in types], axis=1)
        odds = np.log(shares) - distances / 2
        belongs = np.exp(odds - odds.max(axis=1, keepdims=True))
        belongs /= belongs.sum(axis=1, keepdims=True)  # (P, T)
        people = belongs.sum(axis=0)
        iteration += 1
        if iteration > ITERATIONS // 2 and people.min() < LEAST_PEOPLE:
            kept = np.arange(len(types)) != people.argmin()
            types, shares, iteration = types[kept], shares[kept] / shares[kept].sum(), ITERATIONS // 2
            continue
        shares = np.maximum(people, LEAST_VARIANCE) / people.sum()
        scatter = np.zeros_like(prior)
        for index in range(len(types)):
            precision = belongs[:, index, None] / variances  # (P, d)
            types[index] = (precision * centres).sum(axis=0) / (precision.sum(axis=0) + 1 / prior)
            gain = between / variances
            expected = (gain * (centres - types[index])) ** 2 + gain * error
            scatter += (belongs[:, index, None] * expected).sum(axis=0)
        between = np.maximum(scatter / len(centres), LEAST_VARIANCE)
    return types, shares, between


def _fit_directions(sample: _Sample) -> tuple[Floats, int]:
    """Return what turns standard normal rows into deviations (d, d), and how many conditions a person has.

    The covariance of all deviations is off its diagonal too large by what chance adds; it is shrunk until its squares
    sum to the mean squared cosine between deviations of different people. A person's own deviations are more alike
    than those: by one in as many as it has conditions.
    """
    unit = sample.residuals / np.linalg.norm(sample.residuals, axis=1, keepdims=True)
    weights = sample.weights / sample.weights.sum()
    covariance = (unit * weights[:, None]).T @ unit  # (d, d), trace 1
    owner = sample.person[sample.multiple]
    squares = (unit @ unit.T) ** 2
    same = owner[:, None] == owner[None, :]
    pairs = weights[:, None] * weights[None, :]
    among_all = float((squares * pairs)[~same].sum() / pairs[~same].sum())
    own, sizes = [], sample.sizes
    for one in np.flatnonzero(sizes >= 2 * LEAST_FACES):
        block = squares[np.ix_(owner == one, owner == one)]
        count = len(block)
        own.append((block.sum() - count) / (count * (count - 1)) - 1 / (count - 1) ** 2)
    conditions = max(2, round(1 / max(float(np.mean(own)) - among_all, 1e-3)))
    diagonal = np.diag(np.diag(covariance))
    beside = covariance - diagonal
    shrunk = np.sqrt(max(among_all - (diagonal**2).sum(), 0.0) / (beside**2).sum())
    covariance = diagonal + min(shrunk, 1.0) * beside
    factor: Floats = np.linalg.cholesky(covariance + LEAST_VARIANCE * np.eye(len(covariance))).T
    return factor, conditions


def _leaning(sample: _Sample, people: Ints) -> float:
    """Return how much more of their deviation people's faces have towards look-alikes than towards others, as a share.

    Args:
        sample: the faces.
        people: (Q,) int64, those who count.
    """
    owner = sample.person[sample.multiple]
    centres, sizes = sample.centres[people], sample.sizes[people]
    # A mean is longer than the centre by what its few faces leave of their deviations.
    squared = ((centres**2).sum(axis=1) * sizes - 1) / (sizes - 1)
    cosines = (centres @ centres.T) / np.sqrt(np.maximum(np.outer(squared, squared), LEAST_VARIANCE))
    unit = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    near, far = [], []
    for index, one in enumerate(people.tolist()):
        others = np.flatnonzero(np.arange(len(people)) != index)
        sideways = unit[others] - np.outer(unit[others] @ unit[index], unit[index])
        sideways /= np.linalg.norm(sideways, axis=1, keepdims=True)
        residuals = sample.residuals[owner == one]
        residuals = residuals - np.outer(residuals @ unit[index], unit[index])
        shares = ((residuals @ sideways.T) ** 2).mean(axis=0) / (residuals**2).sum(axis=1).mean()  # (Q - 1,)
        near.append(shares[cosines[index, others] > SIMILAR])
        far.append(shares[cosines[index, others] < DISSIMILAR])
    alike, different = np.concatenate(near), np.concatenate(far)
    if not len(alike) or not len(different):
        return LEAST_LEANING
    return max(float(alike.mean() / different.mean()) - 1, LEAST_LEANING)


def _infer(spread: FaceSpread, target: Measured, sizes: Ints) -> FaceSpread:
    """Return the spread with deviations and leaning such that made faces measure as the target says.

    Args:
        spread: all else.
        target: of the real faces.
        sizes: (P,) int64, faces of each real person.
    """
    person = np.repeat(np.arange(len(sizes)), sizes)
    values = np.array(START)
    for _ in range(ROUNDS):
        trial = _with_values(spread, values)
        found = []
        for library in range(LIBRARIES):  # the same in every round, so that what changes is due to the values
            rng = np.random.default_rng(SEED + library)
            found.append(measure_faces(draw_faces(trial, draw_people(trial, len(sizes), rng), sizes, rng), person))
        values = values * (np.array(target) / np.mean(found, axis=0)) ** STEP
    return _with_values(spread, values)


def _with_values(spread: FaceSpread, values: Floats) -> FaceSpread:
    """Return the spread with: the median share of deviation, its two spreads, and the variance of leaning."""
    median, between, within, leaning = values
    return spread._replace(
        deviation=np.array([np.log(median), between, within], np.float32),
        leaning=np.array([np.sqrt(leaning)], np.float32),
    )
