"""Between Arrow columns and arrays: what every stage needs to leave failed rows alone and to lay lists flat."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa


def healthy(table: pa.Table) -> list[int]:
    """Return the positions of the rows that have not failed."""
    return [row for row, status in enumerate(table["status"].to_pylist()) if not status]


def with_columns(table: pa.Table, schema: pa.Schema, values: Mapping[str, Sequence[Any] | pa.Array]) -> pa.Table:
    """Return the table with columns added or replaced, in the schema's types.

    Args:
        table: N rows.
        schema: names and types of the new columns.
        values: N values a column.
    """
    for field in schema:
        column = values[field.name]
        array = column if isinstance(column, pa.Array) else pa.array(column, type=field.type, from_pandas=False)
        index = table.schema.get_field_index(field.name)
        table = table.append_column(field, array) if index < 0 else table.set_column(index, field, array)
    return table


def flat_lists(lists: Sequence[np.ndarray | None]) -> pa.Array:
    """Return a list column of float32 with each array laid flat; None becomes an empty list."""
    flat = [np.zeros(0, np.float32) if item is None else np.asarray(item, np.float32).reshape(-1) for item in lists]
    offsets = np.concatenate([[0], np.cumsum([len(item) for item in flat])]).astype(np.int32)
    values = pa.array(np.concatenate(flat) if flat else np.zeros(0, np.float32))
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def arrays_of(column: pa.ChunkedArray, width: int) -> list[np.ndarray]:
    """Return each row's flat list as an (n, width) array, without a copy where Arrow allows."""
    if len(column) == 0:
        return []
    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        joined = joined.chunk(0)
    values = joined.values.to_numpy(zero_copy_only=False)
    offsets = joined.offsets.to_numpy()
    return [values[start:stop].reshape(-1, width) for start, stop in pairwise(offsets)]


def healthy_arrays(table: pa.Table, name: str, width: int) -> list[np.ndarray]:
    """Return each row's flat list as `arrays_of` does; of a row that has failed, whatever it holds, an empty one."""
    arrays, status = arrays_of(table[name], width), table["status"].to_pylist()
    return [array[:0] if failed else array for array, failed in zip(arrays, status, strict=True)]
