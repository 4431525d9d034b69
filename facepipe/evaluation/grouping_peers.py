"""Methods of grouping that others use, as their users call them: what `group_faces` is measured against.

Each has one setting that tuning chooses; what else they can be told stands fixed where it served them best on lfw-dev.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facepipe.errors import WrongUsageError
from facepipe.evaluation.chinese_whispers import chinese_whispers
from facepipe.evaluation.pair_distances import condensed_distances, pairs_nearer_than
from facepipe.evaluation.rank_order import rank_order
from facepipe.evaluation.tuning import Method

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
GroupEmbeddings = Callable[[Embeddings, float, int], Ints]

RANDOM_SEEDS = 10  # of a random method the mean of so many runs counts
LINK_DISTANCE = 0.90  # of the two-measure cut
HDBSCAN_TABLE_FACES = 10_000  # up to here HDBSCAN is quickest with a table of all distances


@dataclass(frozen=True)
class Peer:
    """A method of grouping.

    Attributes:
        method: embeddings (N, D) float32 of unit length (N at least 2), a setting and a seed in, labels (N,) out.
        meaning: what the setting is.
        settings: those that tuning tries, ascending.
        is_random: whether the seed matters; then the mean of ten counts.
        most_faces: how many it can take, in some 4 GB and the time that one would wait.
    """

    method: GroupEmbeddings
    meaning: str
    settings: tuple[float, ...]
    most_faces: int
    is_random: bool = False

    def method_for(self, embeddings: Embeddings, random_seeds: int = RANDOM_SEEDS) -> Method[float]:
        """Return the method as it groups rows of some faces' embeddings.

        Args:
            embeddings: (N, D) float32, unit length.
            random_seeds: of a random method the mean of so many runs counts.
        """

        def group_rows(rows: Ints, setting: float, seed: int) -> Ints:
            return self.group(embeddings[rows], setting, seed)

        return Method(group_rows, self.settings, range(random_seeds if self.is_random else 1))

    def group(self, embeddings: Embeddings, setting: float, seed: int = 0) -> Ints:
        """Return the group of each face, numbered from 0, at least two faces in each.

        Args:
            embeddings: (N, D) float32, unit length.
            setting: see `meaning`.
            seed: of what is random.

        Returns:
            (N,) int64, -1 for faces in no group.

        Raises:
            WrongUsageError: there are more faces than the method can take.
        """
        if len(embeddings) > self.most_faces:
            raise WrongUsageError(
                f"{len(embeddings):,} faces are too many for this method: {self.most_faces:,} at most"
            )
        labels = np.full(len(embeddings), -1, np.int64)
        if len(embeddings) < 2:
            return labels
        found = self.method(embeddings, setting, seed)
        _, group, sizes = np.unique(found, return_inverse=True, return_counts=True)
        grouped = (found >= 0) & (sizes[group] > 1)
        labels[grouped] = np.unique(group[grouped], return_inverse=True)[1]
        return labels


def dbscan(embeddings: Embeddings, setting: float, _seed: int = 0) -> Ints:
    """Return scikit-learn's DBSCAN (Ester et al. 1996): faces nearer than the setting meet, two make a group."""
    from sklearn.cluster import DBSCAN

    labels: Ints = DBSCAN(eps=setting, min_samples=2).fit_predict(embeddings).astype(np.int64)
    return labels


def average_linkage(embeddings: Embeddings, setting: float, _seed: int = 0) -> Ints:
    """Return scipy's average linkage (UPGMA, Sokal and Michener 1958), cut at a mean Euclidean distance."""
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(condensed_distances(embeddings), "average")
    labels: Ints = fcluster(tree, setting, "distance").astype(np.int64)
    return labels


def hdbscan(embeddings: Embeddings, setting: float, _seed: int = 0) -> Ints:
    """Return the clusters of `hdbscan.HDBSCAN` (Campello, Moulavi, Sander 2013).

    Two faces make a cluster and `min_samples` is 1. The setting is `alpha`, by which distances are divided before they
    are compared with core distances (robust single linkage, Chaudhuri and Dasgupta 2010): of all that HDBSCAN can be
    told, it is what helps most with faces. 1 is the library's default; `cluster_selection_epsilon` did less.
    """
    from hdbscan import HDBSCAN

    few = len(embeddings) <= HDBSCAN_TABLE_FACES
    clusterer = HDBSCAN(
        min_cluster_size=2,
        min_samples=1,
        alpha=float(setting),
        approx_min_span_tree=False,
        algorithm="generic" if few else "best",
    )
    labels: Ints = clusterer.fit_predict(embeddings.astype(np.float64)).astype(np.int64)
    return labels


def two_measure_cut(embeddings: Embeddings, setting: float, _seed: int = 0) -> Ints:
    """Return average linkage, cut at the setting, within what single linkage at 0.90 holds together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = pairs_nearer_than(embeddings, LINK_DISTANCE).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(len(embeddings), len(embeddings)))
    component = connected_components(graph, directed=False)[1]
    members = np.split(np.argsort(component, kind="stable"), np.cumsum(np.bincount(component))[:-1])
    labels = np.full(len(embeddings), -1, np.int64)
    taken = 0  # labels so far
    for own in members:
        if len(own) > 1:
            labels[own] = taken + average_linkage(embeddings[own], setting)
            taken += len(own)
    return labels


def _steps(first: float, last: float, step: float) -> tuple[float, ...]:
    return tuple(round(first + place * step, 6) for place in range(round((last - first) / step) + 1))


PEERS: dict[str, Peer] = {
    "dbscan": Peer(dbscan, "eps, a Euclidean distance", _steps(0.70, 1.00, 0.01), most_faces=100_000),
    "chinese_whispers": Peer(
        chinese_whispers, "distance below which faces have an edge", _steps(0.74, 0.98, 0.02), 100_000, is_random=True
    ),
    "hac_average": Peer(average_linkage, "mean distance at which to cut", _steps(0.80, 1.10, 0.01), most_faces=20_000),
    "hdbscan": Peer(hdbscan, "alpha", _steps(1.00, 1.20, 0.01), most_faces=50_000),
    "rank_order": Peer(rank_order, "rank-order distance", _steps(0.05, 1.50, 0.05), most_faces=100_000),
    "two_measure_cut": Peer(
        two_measure_cut, "mean distance at which to cut", _steps(0.80, 1.10, 0.01), most_faces=20_000
    ),
}
