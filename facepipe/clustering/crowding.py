"""How common a face looks, and similarities that allow for it.

Some faces (blurred ones, babies, half profiles) are near to everybody's, and a pair of them says less than its
similarity. Speaker recognition meets this by score normalisation: a score is judged by the scores that the same voice
gets against a cohort of others (s-norm: Kenny 2010, "Bayesian speaker verification with heavy-tailed priors"; of the
cohort the nearest: Matějka et al. 2017, "Analysis of score normalization in multilingual speaker recognition").

Departs from those papers: the mean over the nearest of the cohort is subtracted and nothing is divided by, so that
averages over groups follow from averages over their faces; and the cohort are centres of groups of people, nobody's
own, fixed with the model: what is in a library never moves a distance in it.
"""

import faiss
import numpy as np
import numpy.typing as npt

from facepipe.clustering.knn import Neighbors

Embeddings = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

NEAREST = 5  # vectors of the cohort that count for a face
LEAST_PEOPLE = 2  # whose mean a vector of the cohort is
SEED = 20100611
ITERATIONS = 20


def crowding(embeddings: Embeddings, cohort: Embeddings, usual: float) -> Floats:
    """Return how much more similar than usual each face is to those of the cohort that it resembles most.

    Args:
        embeddings: (N, D) float32, unit length.
        cohort: (C, D) float32.
        usual: the similarity to which a face is compared.

    Returns:
        (N,) float64, about -0.15 to 0.15; above 0 for faces that look like many others.
    """
    nearest = faiss.knn(embeddings, cohort, min(NEAREST, len(cohort)), metric=faiss.METRIC_INNER_PRODUCT)[0]  # (N, 5)
    levels: Floats = nearest.mean(axis=1, dtype=np.float64) - usual
    return levels


def make_cohort(embeddings: Embeddings, size: int) -> tuple[Embeddings, float]:
    """Return a cohort (size, D) made of people's faces by spherical k-means, and the usual similarity to it.

    What is usual is measured on strangers: each half of the faces against a cohort made of the other half.

    Args:
        embeddings: (N, D) float32, unit length, one a person (of whom there were many, many vectors would stand, and
            those who look like that person would count as common); at least twice as many as `size`.
        size: how many vectors.
    """
    halves = np.array_split(embeddings, 2)
    levels = [
        crowding(half, _centres(other, size), 0.0).mean() for half, other in zip(halves, halves[::-1], strict=True)
    ]
    return _centres(embeddings, size), float(np.mean(levels))


def _centres(embeddings: Embeddings, size: int) -> Embeddings:
    """Return mean faces (size, D) of groups, each of at least LEAST_PEOPLE: where there are fewer, the nearest join."""
    dimension = embeddings.shape[1]
    kmeans = faiss.Kmeans(dimension, size, niter=ITERATIONS, spherical=True, seed=SEED, min_points_per_centroid=1)
    kmeans.train(embeddings)
    similarity = embeddings @ np.asarray(kmeans.centroids, np.float32).reshape(size, dimension).T  # (N, size)
    group = similarity.argmax(axis=1)
    centres = np.zeros((size, dimension), np.float32)
    np.add.at(centres, group, embeddings)
    for small in np.flatnonzero(np.bincount(group, minlength=size) < LEAST_PEOPLE):
        centres[small] = embeddings[np.argsort(-similarity[:, small], kind="stable")[:LEAST_PEOPLE]].sum(axis=0)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return centres


def less_crowding(neighbors: Neighbors, crowded: Floats, rows: npt.NDArray[np.int64] | None = None) -> Neighbors:
    """Return the same neighbours with similarities that allow for how common both faces look, in their new order.

    A pair's similarity falls by the mean of its faces' crowding; it may leave the range of cosines.

    Args:
        neighbors: of M of N faces.
        crowded: (N,) from `crowding`, perhaps weighted.
        rows: (M,) which faces they are the neighbours of; None: all N.
    """
    own = crowded if rows is None else crowded[rows]
    lowered = neighbors.similarities - (own[:, None] + crowded[neighbors.ids]) / 2  # (M, K)
    order = np.argsort(-lowered, axis=1, kind="stable")
    ids, similarities = np.take_along_axis(neighbors.ids, order, axis=1), np.take_along_axis(lowered, order, axis=1)
    return Neighbors(ids, similarities.astype(np.float32))
