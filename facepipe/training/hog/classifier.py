"""The linear parts of the detector by oriented gradients: a support vector machine on words, and where faces lie.

Source: Cerna, Cámara-Chávez and Menotti, "Face Detection: Histogram of Oriented Gradients and Bag of Feature Method",
IPCV 2013 (k-means, a linear support vector machine).

Departs from the paper: the machine's loss is squared.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Floats = NDArray[np.float32]
Words = NDArray[np.integer]

COST = 3e-4  # C of the machine: small, for there are about as many weights as windows
PLACE_PENALTY = 100.0
INTERCEPT_SCALE = 30.0  # the intercept is punished like a weight: this much less
MOST_STEPS = 200
TOLERANCE = 1e-3


class Classifier(NamedTuple):
    """A linear classifier of windows.

    Attributes:
        tables: (P, P, K) float32, a weight for each word at each place.
        bias: is added to their sum.
    """

    tables: Floats
    bias: float


def train_codebook(blocks: Floats, words: int, seed: int) -> Floats:
    """Return the centres (words, D) float32 that k-means (FAISS) finds among descriptors of blocks (N, D)."""
    import faiss

    clusters = faiss.Kmeans(
        blocks.shape[1], words, niter=15, seed=seed % 2**31, max_points_per_centroid=len(blocks) // words + 1
    )
    clusters.train(np.ascontiguousarray(blocks))
    return np.asarray(clusters.centroids, np.float32).reshape(words, -1)


def histograms(words: Words, count: int) -> csr_matrix:
    """Return the windows' histograms side by side, (N, P * P * K): for each place a one where its word stands.

    Args:
        words: (N, P * P).
        count: K.
    """
    rows, places = words.shape
    column = words.astype(np.int32) + np.arange(places, dtype=np.int32) * count
    starts = np.arange(0, rows * places + 1, places)
    return csr_matrix((np.ones(column.size), column.ravel(), starts), shape=(rows, places * count))


def train_classifier(faces: Words, background: Words, count: int) -> Classifier:
    """Return the linear support vector machine that tells windows of faces from others.

    Args:
        faces: (N, P * P) words.
        background: (M, P * P).
        count: K.
    """
    from sklearn.svm import LinearSVC

    side = round(faces.shape[1] ** 0.5)
    machine = LinearSVC(
        C=COST, dual=False, intercept_scaling=INTERCEPT_SCALE, tol=TOLERANCE, max_iter=MOST_STEPS, random_state=0
    )
    is_face = np.arange(len(faces) + len(background)) < len(faces)
    machine.fit(histograms(np.concatenate([faces, background]), count), is_face)
    return Classifier(machine.coef_.reshape(side, side, count).astype(np.float32), float(machine.intercept_[0]))


def train_places(words: Words, places: Floats, count: int) -> tuple[Floats, Floats]:
    """Return a face's mean place (4,), and what each word at each place of the window adds to it (P, P, K, 4).

    By ridge regression.

    Args:
        words: (N, P * P) of windows near faces.
        places: (N, 4) of the faces in them (`HogModel.box_mean`).
        count: K.
    """
    from scipy.sparse.linalg import lsqr

    side = round(words.shape[1] ** 0.5)
    mean = places.mean(axis=0)
    inputs = histograms(words, count)
    found = [
        lsqr(inputs, places[:, which] - mean[which], damp=PLACE_PENALTY**0.5, iter_lim=100)[0] for which in range(4)
    ]
    tables = np.stack(found, axis=1).reshape(side, side, count, 4)
    return mean.astype(np.float32), tables.astype(np.float32)
