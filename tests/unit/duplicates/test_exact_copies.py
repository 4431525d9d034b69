import itertools
from datetime import UTC, datetime

from facepipe.duplicates.grouping import Copy, group_exact_copies

OLD, NEW = datetime(2020, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)


def keepers(copies: list[Copy]) -> list[str]:
    return [copy.uri for copy in copies if copy.keeper]


def test_only_files_with_a_copy_are_listed() -> None:
    copies = group_exact_copies(["a", "b", "c"], ["1", "2", "1"], [OLD, OLD, NEW])
    assert [(copy.uri, copy.group_id, copy.keeper) for copy in copies] == [("a", "1", True), ("c", "1", False)]
    assert {(copy.kind, copy.distance) for copy in copies} == {("exact", 0.0)}


def test_the_oldest_is_kept_though_its_path_is_longer() -> None:
    copies = group_exact_copies(["x", "long/x"], ["1", "1"], [NEW, OLD])
    assert keepers(copies) == ["long/x"]
    assert copies[0].reason == "oldest of the files with these bytes"
    assert copies[1].reason == "same bytes as long/x"


def test_of_equally_old_ones_the_shortest_is_kept() -> None:
    copies = group_exact_copies(["a/copy of x", "z/x"], ["1", "1"], [OLD, OLD])
    assert keepers(copies) == ["z/x"]
    assert "shortest" in copies[0].reason


def test_then_the_first_by_name() -> None:
    copies = group_exact_copies(["b", "a", "c"], ["1"] * 3, [OLD] * 3)
    assert [copy.uri for copy in copies] == ["a", "b", "c"]
    assert keepers(copies) == ["a"]
    assert "first by name" in copies[0].reason


def test_the_order_of_the_files_does_not_matter() -> None:
    files = [("a", "2", NEW), ("bb", "1", OLD), ("c", "1", OLD), ("d", "2", OLD), ("e", "3", OLD)]
    results = [group_exact_copies(*map(list, zip(*order, strict=True))) for order in itertools.permutations(files)]
    assert all(result == results[0] for result in results)
    assert keepers(results[0]) == ["c", "d"]


def test_no_files() -> None:
    assert group_exact_copies([], [], []) == []
