"""The plain loop: stages in this process, batch after batch."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from facepipe.runtime.machine import usable_cpus
from facepipe.runtime.stage_group import StageGroup
from facepipe.stage import Stage


class LocalEngine:
    """Runs pipelines in-process: for tests, small albums and machines without Ray."""

    def run(self, rows: pa.Table, groups: Sequence[Sequence[Stage]], batch_rows: int) -> Iterator[pa.Table]:
        """Yield the finished batches in the order of their rows."""
        if len(rows) == 0:
            return
        opened = [StageGroup(group, usable_cpus()) for group in groups]
        for start in range(0, len(rows), batch_rows):
            batch = rows.slice(start, batch_rows)
            for group in opened:
                batch = group(batch)
            yield batch

    def close(self) -> None:
        """Nothing to give back."""
