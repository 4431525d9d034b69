"""The plain loop: stages in this process, batch after batch."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from facepipe.clustering.inverted_lists import Embeddings, Ints, Search
from facepipe.clustering.neighbor_search import one_shard
from facepipe.runtime.machine import usable_cpus
from facepipe.runtime.stage_group import StageGroup
from facepipe.stage import Stage


class LocalEngine:
    """Runs pipelines in-process: for tests, small albums and machines without Ray."""

    def run(self, batches: Sequence[pa.Table], groups: Sequence[Sequence[Stage]]) -> Iterator[pa.Table]:
        """Yield the finished batches in the order of their rows."""
        if not batches:
            return
        opened = [StageGroup(group, usable_cpus()) for group in groups]
        for batch in batches:
            finished = batch
            for group in opened:
                finished = group(finished)
            yield finished

    def open_search(self, embeddings: Embeddings, list_of: Ints, lists: int) -> Search:
        """Return the search of a single shard."""
        return one_shard(embeddings, list_of, lists)

    def close(self) -> None:
        """Nothing to give back."""
