"""The plain loop: stages in this process, batch after batch."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

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

    def close(self) -> None:
        """Nothing to give back."""
