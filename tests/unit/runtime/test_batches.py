import pyarrow as pa

from facepipe.runtime.batches import cut, gather, handed_at, in_order, numbered, stage_seconds


def test_batches_are_joined_until_time_has_passed() -> None:
    batches = [pa.table({"n": [n]}) for n in range(5)]
    assert [table["n"].to_pylist() for table in gather(batches, seconds=3600)] == [[0, 1, 2, 3, 4]]
    assert [table["n"].to_pylist() for table in gather(batches, seconds=0)] == [[0], [1], [2], [3], [4]]
    assert list(gather([], seconds=0)) == []


def test_timings_are_summed_over_batches() -> None:
    rows = pa.table({"handed_at": [5.0, 3.0], "seconds:decode": [0.5, 0.25], "seconds:detect": [1.0, 0.0]})
    assert handed_at(rows) == 3.0
    assert stage_seconds(rows) == {"decode": 0.75, "detect": 1.0}


def test_rows_come_in_their_order_however_batches_come() -> None:
    first, second, third, last = cut(numbered(pa.table({"letter": list("abcdefg")})), 2)
    mixed = pa.concat_tables([last, second.slice(0, 1)]), third, first, second.slice(1, 1)
    found = [table["letter"].to_pylist() for table in in_order(mixed)]
    assert found == [["a", "b", "c"], ["d", "e", "f", "g"]]
    assert list(in_order([])) == []
