import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from facepipe import schemas
from facepipe.stages.rows import arrays_of, flat_lists, healthy, healthy_arrays, with_columns


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(1, 4))
def test_lists_laid_flat_come_back(counts: list[int], width: int) -> None:
    arrays: list[np.ndarray | None] = [
        np.arange(count * width, dtype=np.float32).reshape(count, width) for count in counts
    ]
    back = arrays_of(pa.chunked_array([flat_lists(arrays)]), width)
    assert len(back) == len(arrays)
    for array, again in zip(arrays, back, strict=True):
        assert array is not None
        np.testing.assert_array_equal(array, again)


def test_lists_of_a_slice_are_those_of_its_rows() -> None:
    column = pa.chunked_array([flat_lists([np.ones(2), np.full(2, 5.0), None, np.full(4, 7.0)])])
    assert [array.tolist() for array in arrays_of(column.slice(1, 2), 2)] == [[[5.0, 5.0]], []]


def test_columns_are_replaced_or_added() -> None:
    table = pa.table({"status": ["", "empty"], "message": ["", "gone"]})
    assert healthy(table) == [0]
    changed = with_columns(table, schemas.STATUS, {"status": ["timeout", ""], "message": ["a", "b"]})
    assert changed["status"].to_pylist() == ["timeout", ""]
    added = with_columns(table, pa.schema([("faces", pa.int32())]), {"faces": [1, None]})
    assert added.schema.field("faces").type == pa.int32()
    assert added["faces"].to_pylist() == [1, None]


def test_a_row_that_has_failed_holds_nothing() -> None:
    table = pa.table({"status": ["", "vanished"], "boxes": flat_lists([np.ones(4), np.ones(8)])})
    assert [array.tolist() for array in healthy_arrays(table, "boxes", 4)] == [[[1.0] * 4], []]
