"""Stages that run together in one process: the same code inside a Ray actor and in the plain loop."""

import sys
import time
from collections.abc import Callable, Sequence

import pyarrow as pa

from facepipe.stage import Stage, check_columns

HANDED_AT = "handed_at"
SECONDS = "seconds:"


class StageGroup:
    """Opened stages, applied one after the other to each batch.

    Every stage's columns are checked on both sides. Timings travel with the rows: `handed_at` is when the batch reached
    the pipeline's first opened stage (seconds since the epoch), `seconds:NAME`, on a batch's first row, what a stage
    took.
    """

    def __init__(self, stages: Sequence[Stage], threads: int) -> None:
        self._opened: list[tuple[Stage, Callable[[pa.Table], pa.Table]]] = [(stage, stage.open()) for stage in stages]
        limit_threads(threads)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return the batch with every stage's columns, row by row in the same order."""
        if len(table) == 0:
            return table
        if HANDED_AT not in table.column_names:
            table = table.append_column(HANDED_AT, pa.array([time.time()] * len(table), pa.float64()))
        for stage, apply in self._opened:
            check_columns(stage.name, "reads", table.schema, stage.reads)
            start = time.perf_counter()
            table = apply(table)
            seconds = [time.perf_counter() - start, *[0.0] * (len(table) - 1)]
            check_columns(stage.name, "writes", table.schema, stage.writes)
            table = table.drop_columns([name for name in stage.drops if name in table.column_names])
            table = table.append_column(SECONDS + stage.name, pa.array(seconds, pa.float64()))
        return table


def limit_threads(threads: int) -> None:
    """Keep the numeric libraries that stages have loaded to a number of threads: pools must not fight over cores."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
