"""Lists of faces searched by Ray actors: each holds a shard of all faces, queries stream past, results are merged."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from facepipe.clustering.inverted_lists import Embeddings, Found, Ints, Request, Search, Shard, merged

REQUESTS_UNDER_WAY = 4  # enough to keep every actor busy, few enough to bound the memory of what waits


def sharded_search(ray: Any, shards: int, embeddings: Embeddings, list_of: Ints, lists: int) -> Search:
    """Return the search over so many actors; it finds what one shard of all faces would.

    The actors end when the search is no longer referred to.

    Args:
        ray: the module, started.
        shards: how many actors, spread over the nodes.
        embeddings: (N, D) float32, unit length.
        list_of: (N,) int64, the list of each face.
        lists: how many lists there are.
    """
    actor = ray.remote(Shard).options(num_cpus=0.5, scheduling_strategy="SPREAD")
    actors = [
        actor.remote(embeddings[part], part, list_of[part], lists)
        for part in np.array_split(np.arange(len(embeddings)), shards)
    ]

    def search(requests: Iterable[Request], k: int) -> Iterator[Found]:
        under_way: deque[list[Any]] = deque()
        for request in requests:
            shared = ray.put(request)
            under_way.append([actor.search.remote(shared, k) for actor in actors])
            if len(under_way) >= REQUESTS_UNDER_WAY:
                yield merged(ray.get(under_way.popleft()), k)
        while under_way:
            yield merged(ray.get(under_way.popleft()), k)

    return search
