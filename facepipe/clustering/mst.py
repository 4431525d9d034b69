"""The minimum spanning forest of the mutual reachability graph (Campello, Moulavi, Sander 2013, sections 3 and 4).

Departs from the paper: the graph holds each face's nearest neighbours only, not all pairs, so it may fall into several
components; `single_linkage_tree` joins them at a virtual root.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facepipe.clustering.knn import Neighbors

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Edges(NamedTuple):
    """Undirected edges, each once: `left` < `right`.

    Attributes:
        left: (E,) int64 rows.
        right: (E,) int64 rows.
        distance: (E,) float64, at least 0.
    """

    left: Ints
    right: Ints
    distance: Floats

    def of(self, chosen: Ints | npt.NDArray[np.bool_]) -> "Edges":
        """Return some of the edges, chosen by index or mask."""
        return Edges(self.left[chosen], self.right[chosen], self.distance[chosen])


def euclidean(similarities: npt.NDArray[np.floating]) -> Floats:
    """Return the Euclidean distances between unit vectors of given cosines: sqrt(2 - 2 cos), 0 to 2."""
    return np.sqrt(np.maximum(2.0 - 2.0 * similarities.astype(np.float64), 0.0))


def similarity_at(distance: float) -> float:
    """Return the cosine between unit vectors at a Euclidean distance."""
    return 1.0 - distance * distance / 2.0


def core_distances(neighbors: Neighbors, min_samples: int) -> Floats:
    """Return each face's distance to its `min_samples`-th nearest other face (definition 2), infinite without one.

    Args:
        neighbors: of N faces.
        min_samples: at least 1; with 1 the mutual reachability distance is the distance itself.

    Returns:
        (N,) float64.
    """
    count, k = neighbors.ids.shape
    if k < min_samples:
        return np.full(count, np.inf)
    return euclidean(neighbors.similarities[:, min_samples - 1])


def mutual_reachability(
    neighbors: Neighbors, min_samples: int = 1, allowed: npt.NDArray[np.bool_] | None = None
) -> Edges:
    """Return the symmetrised neighbour graph with mutual reachability distances: max(core a, core b, d(a, b)).

    A pair is an edge where either face is among the other's nearest.

    Args:
        neighbors: of N faces.
        min_samples: see `core_distances`.
        allowed: (N, K) bool, false for neighbours that must not become edges; all are allowed where it is None.

    Returns:
        Edges in order of (left, right).
    """
    count, k = neighbors.ids.shape
    keep = np.ones((count, k), np.bool_) if allowed is None else allowed
    faces = np.broadcast_to(np.arange(count)[:, None], (count, k))[keep]  # (E',)
    others = neighbors.ids[keep]
    core = core_distances(neighbors, min_samples)
    distance = np.maximum(euclidean(neighbors.similarities[keep]), np.maximum(core[faces], core[others]))
    return _each_once(faces, others, distance)


def edges_from(rows: Ints, neighbors: Neighbors, allowed: npt.NDArray[np.bool_]) -> Edges:
    """Return the graph of some faces' neighbours, with plain distances.

    Args:
        rows: (M,) the faces.
        neighbors: of the M faces.
        allowed: (M, K) bool, false for neighbours that must not become edges.

    Returns:
        Edges in order of (left, right).
    """
    faces = np.broadcast_to(rows[:, None], allowed.shape)[allowed]
    return _each_once(faces, neighbors.ids[allowed], euclidean(neighbors.similarities[allowed]))


def _each_once(faces: Ints, others: Ints, distance: Floats) -> Edges:
    left, right = np.minimum(faces, others), np.maximum(faces, others)
    # Both directions of a pair become one edge; their distances can differ in the last bit, and the least one stays.
    order = np.lexsort((distance, right, left))
    left, right, distance = left[order], right[order], distance[order]
    first = np.ones(len(left), np.bool_)
    first[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return Edges(left[first], right[first], distance[first])


def minimum_spanning_forest(edges: Edges, count: int) -> Edges:
    """Return the edges of the minimum spanning tree of each component, by distance, equal ones by (left, right).

    Borůvka's algorithm (1926), all components at once: each takes the shortest edge that leaves it, and those that meet
    become one, until no edge leaves any. The forest of several forests' edges together is the forest of the whole
    graph, so pieces can be built apart and merged by calling this again.

    Args:
        edges: the graph; a pair may occur more than once.
        count: number of faces, N.

    Returns:
        At most N - 1 edges.
    """
    order = np.lexsort((edges.right, edges.left, edges.distance))
    left, right, distance = edges.left[order], edges.right[order], edges.distance[order]
    component, components = np.arange(count), count
    taken = [np.zeros(0, np.int64)]
    leaving = np.flatnonzero(left != right)  # edges between components by rank: no two are equally short
    while len(leaving):
        ends = component[left[leaving]], component[right[leaving]]
        shortest = np.full(components, len(left))
        for end in ends:
            np.minimum.at(shortest, end, leaving)
        taken.append(np.unique(shortest[shortest < len(left)]))
        met = component[left[taken[-1]]], component[right[taken[-1]]]
        graph = coo_array((np.ones(len(taken[-1])), met), shape=(components, components))
        components, merged = connected_components(graph, directed=False)
        component = merged[component]
        leaving = leaving[merged[ends[0]] != merged[ends[1]]]
    kept = np.sort(np.concatenate(taken))
    return Edges(left[kept], right[kept], distance[kept])


def components(edges: Edges, count: int) -> Ints:
    """Return the connected component of each of `count` faces, (N,) int64, numbered from 0."""
    graph = coo_array((np.ones(len(edges.left)), (edges.left, edges.right)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)
