"""Batches on their way to the stages and on to a commit, and the timings that travel with them."""

import time
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from facepipe.runtime.stage_group import HANDED_AT, SECONDS

ROW = "row"


def cut(rows: pa.Table, batch_rows: int) -> list[pa.Table]:
    """Return the rows in batches of so many, the last one perhaps smaller; none of none."""
    return [rows.slice(start, batch_rows) for start in range(0, len(rows), batch_rows)]


def numbered(rows: pa.Table) -> pa.Table:
    """Return rows with their numbers, by which `in_order` puts them in order again."""
    return rows.append_column(ROW, pa.array(range(len(rows)), pa.int64()))


def in_order(batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield numbered rows in the order of their numbers, each as soon as all before it are there."""
    waiting: dict[int, pa.Table] = {}
    following = 0
    for batch in batches:
        waiting |= {number: batch.slice(row, 1) for row, number in enumerate(batch[ROW].to_pylist())}
        ready = []
        while following in waiting:
            ready.append(waiting.pop(following))
            following += 1
        if ready:
            yield pa.concat_tables(ready)


def gather(batches: Iterable[pa.Table], seconds: float) -> Iterator[pa.Table]:
    """Yield the batches joined into one table whenever so many seconds have passed, and what is left at the end."""
    waiting: list[pa.Table] = []
    since = time.monotonic()
    try:
        for batch in batches:
            waiting.append(batch)
            if time.monotonic() - since >= seconds:
                yield pa.concat_tables(waiting)
                waiting, since = [], time.monotonic()
    except KeyboardInterrupt:
        if waiting:
            yield pa.concat_tables(waiting)  # what is done is not lost
        raise
    if waiting:
        yield pa.concat_tables(waiting)


def handed_at(rows: pa.Table) -> float:
    """Return when the first of these rows reached an opened stage, in seconds since the epoch."""
    return float(pc.min(rows[HANDED_AT]).as_py())


def stage_seconds(rows: pa.Table) -> dict[str, float]:
    """Return the seconds that each stage took for these rows, over all copies of the stage."""
    names = [name for name in rows.column_names if name.startswith(SECONDS)]
    return {name.removeprefix(SECONDS): float(pc.sum(rows[name]).as_py()) for name in names}
