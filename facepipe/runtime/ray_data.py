"""Ray Data: each group of stages becomes one pool of actors, batches stream through."""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from facepipe.clustering.inverted_lists import Embeddings, Ints, Search
from facepipe.clustering.neighbor_search import one_shard
from facepipe.errors import FacepipeError
from facepipe.runtime.local import LocalEngine
from facepipe.runtime.ray_start import started_ray
from facepipe.runtime.stage_group import StageGroup
from facepipe.runtime.worker_errors import error_row, is_error, raise_error
from facepipe.stage import Stage

ACTOR_START_SECONDS = 300


@dataclass(frozen=True)
class Pool:
    """How many actors a group gets, and what each takes.

    Attributes:
        actors: copies of the group.
        cpus: logical CPUs an actor reserves: a little less than it uses, so that Ray's own tasks are never starved.
        gpus: share of a GPU an actor reserves.
        threads: threads an actor computes with.
    """

    actors: int
    cpus: float
    gpus: float
    threads: int


def plan_pools(groups: Sequence[Sequence[Stage]], cpus: int, gpus: float, batches: int) -> list[Pool]:
    """Return a pool a group, of one thread an actor, sized from what there is and from how much there is to do.

    Where there are GPUs, a group that only feeds one gets an actor a GPU, and the group that decodes and detects shares
    all other CPUs: decoding is what keeps GPUs waiting.
    """
    shares = [sum(stage.resources.gpus for stage in group) if gpus else 0.0 for group in groups]
    followers = len(groups) - 1
    per_follower = max(1, math.ceil(gpus))
    sizes = [max(1, cpus - followers * per_follower), *[per_follower] * followers]
    actors = [min(size, max(1, batches)) for size in sizes]
    return [
        Pool(count, 0.75, math.floor(share * gpus / count * 1e4) / 1e4, 1)
        for count, share in zip(actors, shares, strict=True)
    ]


def fuse(groups: Sequence[Sequence[Stage]], gpus: float) -> list[list[Stage]]:
    """Return the groups, or all their stages as one group where there is no GPU.

    Without GPUs every stage wants the same cores: one pool keeps them busy whatever the mix of photos, and crops never
    leave their process.
    """
    return [list(group) for group in groups] if gpus else [[stage for group in groups for stage in group]]


class RayEngine:
    """Runs pipelines on Ray, embedded on this machine or on a cluster.

    Args:
        address: of a running cluster ("auto" finds the one around a submitted job); None starts Ray here.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._started = False
        self._held = ExitStack()

    def run(self, batches: Sequence[pa.Table], groups: Sequence[Sequence[Stage]]) -> Iterator[pa.Table]:
        """Yield finished batches in the order in which they finish.

        A single batch is done in this process, unless it belongs on a cluster.
        """
        if not batches:
            return
        if len(batches) == 1 and self._address is None and not self._started:
            yield from LocalEngine().run(batches, groups)  # nothing to share out: starting Ray would take longer
            return
        ray = self._start()
        # One batch a block: blocks lie in the object store already, so no reading task waits for a CPU.
        data = ray.data.from_arrow(list(batches))
        have = ray.cluster_resources()
        gpus = have.get("GPU", 0.0)
        fused = fuse(groups, gpus)
        pools = plan_pools(fused, int(have.get("CPU", 1)) - self._spare_cpus, gpus, len(batches))
        most_rows = max(len(batch) for batch in batches)
        for group, pool in zip(fused, pools, strict=True):
            options: dict[str, Any] = {"num_gpus": pool.gpus} if pool.gpus else {}
            data = data.map_batches(
                _opening(group, pool.threads),
                batch_size=most_rows if pool.gpus else None,  # Ray wants a number where there are GPUs
                batch_format="pyarrow",
                zero_copy_batch=True,
                compute=ray.data.ActorPoolStrategy(size=pool.actors),
                num_cpus=pool.cpus,
                **options,
            )
        for finished in data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            raise_error(finished)
            yield finished

    def open_search(self, embeddings: Embeddings, list_of: Ints, lists: int) -> Search:
        """Return the search over a shard a node; of this process where Ray has no other machine."""
        if self._address is None:
            return one_shard(embeddings, list_of, lists)
        from facepipe.runtime.sharded_knn import sharded_search

        ray = self._start()
        nodes = sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())
        return sharded_search(ray, max(1, nodes), embeddings, list_of, lists)

    def close(self) -> None:
        """Stop the embedded Ray; leave a cluster running."""
        self._held.close()
        self._started = False

    @property
    def _spare_cpus(self) -> int:
        return 1 if self._address is None else 0

    def _start(self) -> Any:
        if self._started:
            import ray

            return ray
        ray = self._held.enter_context(started_ray(self._address, self._spare_cpus))
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.wait_for_min_actors_s = ACTOR_START_SECONDS
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        self._started = True
        return ray


def _opening(group: Sequence[Stage], threads: int) -> type:
    """Return a class that opens these stages when an actor constructs it; its name, which Ray shows, is theirs.

    An error that ends the command comes back as the answer to a batch.
    """

    class Worker:
        def __init__(self) -> None:
            self._opened: StageGroup | pa.Table
            try:
                self._opened = StageGroup(group, threads)
            except FacepipeError as error:
                self._opened = error_row(error)

        def __call__(self, table: pa.Table) -> pa.Table:
            if isinstance(self._opened, pa.Table):
                return self._opened
            if is_error(table):
                return table
            try:
                return self._opened(table)
            except FacepipeError as error:
                return error_row(error)

    Worker.__name__ = Worker.__qualname__ = "_".join(stage.name for stage in group)
    return Worker
