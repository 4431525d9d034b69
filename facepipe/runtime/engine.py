"""The contract between a pipeline and what carries it out."""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import pyarrow as pa

from facepipe.clustering.inverted_lists import Embeddings, Ints, Search
from facepipe.stage import Stage

EngineName = Literal["ray", "local"]


class Engine(Protocol):
    """Carries out groups of stages over rows."""

    def run(self, batches: Sequence[pa.Table], groups: Sequence[Sequence[Stage]]) -> Iterator[pa.Table]:
        """Yield finished batches as they come, each row exactly once.

        Args:
            batches: the source, one row a file or photo; the rows of a batch travel together.
            groups: each group's stages run together in one process; groups follow each other.
        """

    def open_search(self, embeddings: Embeddings, list_of: Ints, lists: int) -> Search:
        """Return the search for nearest faces in lists of similar ones, as `clustering.neighbor_search` wants it."""

    def close(self) -> None:
        """Give back what the engine holds."""


def create_engine(name: EngineName, address: str | None) -> Engine:
    """Return the engine of that name; Ray starts at its first pipeline, not before.

    Args:
        name: "ray" or "local".
        address: of a Ray cluster; None starts an embedded one on this machine.
    """
    if name == "local":
        from facepipe.runtime.local import LocalEngine

        return LocalEngine()
    from facepipe.runtime.ray_data import RayEngine

    return RayEngine(address)
