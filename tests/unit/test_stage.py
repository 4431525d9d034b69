from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pytest

from facepipe.errors import FacepipeError
from facepipe.runtime.batches import cut
from facepipe.runtime.local import LocalEngine
from facepipe.runtime.stage_group import HANDED_AT, SECONDS
from facepipe.stage import Resources, Stage, check_chain


@dataclass(frozen=True)
class AddOne:
    name: ClassVar[str] = "add_one"
    reads: ClassVar[pa.Schema] = pa.schema([("number", pa.int64())])
    writes: ClassVar[pa.Schema] = pa.schema([("more", pa.int64())])
    drops: ClassVar[Sequence[str]] = ("number",)
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        return lambda table: table.append_column(
            "more", pa.array([n + 1 for n in table["number"].to_pylist()], pa.int64())
        )


@dataclass(frozen=True)
class Double:
    name: ClassVar[str] = "double"
    reads: ClassVar[pa.Schema] = pa.schema([("more", pa.int64())])
    writes: ClassVar[pa.Schema] = pa.schema([("twice", pa.int64())])
    drops: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources()
    wrong: bool = False

    def open(self) -> Callable[[pa.Table], pa.Table]:
        kind = pa.float64() if self.wrong else pa.int64()
        return lambda table: table.append_column("twice", pa.array([2 * n for n in table["more"].to_pylist()], kind))


SOURCE = pa.schema([("number", pa.int64())])


def test_chain_is_followed_column_by_column() -> None:
    stages: list[Stage] = [AddOne(), Double()]
    assert check_chain(stages, SOURCE).names == ["more", "twice"]
    with pytest.raises(FacepipeError, match="double reads the column 'more'"):
        check_chain([Double(), AddOne()], SOURCE)
    with pytest.raises(FacepipeError, match="as int64, not string"):
        check_chain([AddOne()], pa.schema([("number", pa.string())]))
    with pytest.raises(FacepipeError, match="'number'"):
        check_chain([AddOne(), AddOne()], SOURCE)  # the first drops what the second reads


def test_local_engine_runs_groups_in_order_and_times_them() -> None:
    rows = pa.table({"number": pa.array(range(10), pa.int64())})
    batches = list(LocalEngine().run(cut(rows, 4), [[AddOne()], [Double()]]))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    result = pa.concat_tables(batches)
    assert result["twice"].to_pylist() == [2 * (n + 1) for n in range(10)]
    assert {HANDED_AT, SECONDS + "add_one", SECONDS + "double"} <= set(result.column_names)
    assert "number" not in result.column_names


def test_runtime_checks_what_a_stage_wrote() -> None:
    rows = pa.table({"number": pa.array([1], pa.int64())})
    with pytest.raises(FacepipeError, match="double writes 'twice' as int64, not double"):
        list(LocalEngine().run([rows], [[AddOne(), Double(wrong=True)]]))


def test_no_rows_open_nothing() -> None:
    class Closed(AddOne):
        def open(self) -> Callable[[pa.Table], pa.Table]:
            raise AssertionError("opened for nothing")

    assert list(LocalEngine().run([], [[Closed()]])) == []
