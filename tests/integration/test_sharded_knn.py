"""Shards of the faces in Ray actors find what one index of all faces finds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from facepipe.clustering.neighbor_search import Searched, search_neighbors
from facepipe.runtime.ray_data import RayEngine
from facepipe.runtime.sharded_knn import sharded_search

CLOSE = 0.6


@pytest.fixture
def ray() -> Iterator[Any]:
    engine = RayEngine(None)
    yield engine._start()
    engine.close()


def search(embeddings: np.ndarray, **how: Any) -> Searched:
    return search_neighbors(embeddings, 10, CLOSE, exhaustive_faces=0, **how)


@pytest.mark.parametrize("shards", [2])
def test_shards_equal_one(ray: Any, shards: int) -> None:
    rng = np.random.default_rng(8)
    embeddings = np.repeat(rng.normal(size=(300, 32)), 10, axis=0) + 0.7 * rng.normal(size=(3000, 32))
    embeddings = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    one = search(embeddings)
    several = search(embeddings, open_search=lambda *lists: sharded_search(ray, shards, *lists))
    assert (one.probes, one.recall) == (several.probes, several.recall)
    assert np.allclose(one.neighbors.similarities, several.neighbors.similarities, atol=1e-6)
    assert (one.neighbors.ids == several.neighbors.ids).mean() > 0.999  # equally near ones may change places
