import itertools
from datetime import UTC, datetime

from facepipe.duplicates.grouping import Copy, PhotoFile, Verdict, group_copies, keepers_of_copies

OLD, NEW = datetime(2020, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
NEAR = Verdict("near", 0.5)


def file(
    uri: str, photo_id: str, *, pixels: int = 100, size: int = 10, at: datetime = OLD, gone: bool = False
) -> PhotoFile:
    return PhotoFile(uri, photo_id, pixels, size, at, gone)


def keepers(copies: list[Copy]) -> list[str]:
    return [copy.uri for copy in copies if copy.keeper]


def pairs(text: str, verdict: Verdict = NEAR) -> dict[tuple[str, str], Verdict]:
    """Verdicts from pairs of one-letter photo ids: `ab bc`."""
    return {(min(pair), max(pair)): verdict for pair in text.split()}


def groups(copies: list[Copy]) -> list[str]:
    return [
        "".join(sorted({row.photo_id for row in rows}))
        for _, rows in itertools.groupby(copies, lambda row: row.group_id)
    ]


def test_only_files_with_a_copy_are_listed() -> None:
    copies = group_copies([file("a", "1"), file("b", "2"), file("c", "1", at=NEW)], {})
    assert [(copy.uri, copy.group_id, copy.keeper) for copy in copies] == [("a", "1", True), ("c", "1", False)]
    assert {(copy.kind, copy.distance) for copy in copies} == {("exact", 0.0)}


def test_of_the_same_bytes_the_oldest_is_kept_though_its_path_is_longer() -> None:
    copies = group_copies([file("x", "1", at=NEW), file("long/x", "1")], {})
    assert keepers(copies) == ["long/x"]
    assert copies[0].reason == "oldest of the files with these bytes"
    assert copies[1].reason == "same bytes as long/x"


def test_of_equally_old_ones_the_shortest_is_kept() -> None:
    copies = group_copies([file("a/copy of x", "1"), file("z/x", "1")], {})
    assert keepers(copies) == ["z/x"]
    assert "shortest" in copies[0].reason


def test_then_the_first_by_name() -> None:
    copies = group_copies([file(uri, "1") for uri in "bac"], {})
    assert [copy.uri for copy in copies] == ["a", "b", "c"]
    assert "first by name" in copies[0].reason


def test_of_near_copies_the_largest_is_kept_then_the_least_compressed_then_the_oldest() -> None:
    small, large = file("s", "a", pixels=50, size=99), file("l", "b", size=8, at=NEW)
    copies = group_copies([small, large], pairs("ab"))
    assert keepers(copies) == ["l"]
    assert [copy.reason for copy in copies] == ["most pixels of these copies", "smaller copy of l"]
    heavy = file("h", "c", size=20, at=NEW)
    copies = group_copies([heavy, large], pairs("bc"))
    assert keepers(copies) == ["h"]
    assert [copy.reason for copy in copies] == ["least compressed of the largest copies", "copy of h, compressed again"]
    older = file("a long way to the older one", "d", size=8)
    copies = group_copies([older, large], pairs("bd"))
    assert [copy.reason for copy in copies] == [
        "oldest of the copies of this size",
        f"copy of {older.uri}, compressed again",
    ]


def test_one_group_holds_exact_and_near_copies() -> None:
    files = [file("big", "c"), file("again", "c", at=NEW), file("small", "b", pixels=20), file("retagged", "a")]
    verdicts = pairs("bc ab", Verdict("near", 0.25)) | pairs("ac", Verdict("exact", 0.0))
    copies = {copy.uri: copy for copy in group_copies(files, verdicts)}
    assert {copy.group_id for copy in copies.values()} == {"a"}
    assert {uri: (copy.kind, copy.distance, copy.keeper) for uri, copy in copies.items()} == {
        "big": ("near", 0.0, True),
        "again": ("exact", 0.0, False),
        "retagged": ("exact", 0.0, False),
        "small": ("near", 0.25, False),
    }
    assert copies["retagged"].reason == "same pixels as big"


def test_a_chain_is_no_group() -> None:
    files = [file(name, name, pixels=100 - place) for place, name in enumerate("abcd")]
    assert groups(group_copies(files, pairs("ab bc cd"))) == ["ab", "cd"]
    assert groups(group_copies(files, pairs("ab bc cd ac"))) == ["abc"]


def test_every_two_of_a_group_agree_whatever_the_order() -> None:
    verdicts = pairs("ab ac bc bd cd de ef df ea")
    files = [file(name, name, pixels=pixels) for name, pixels in zip("abcdef", (3, 1, 4, 1, 5, 9), strict=True)]
    results = [group_copies(order, verdicts) for order in itertools.permutations(files)]
    assert all(result == results[0] for result in results)
    for group in groups(results[0]):
        assert all(pair in verdicts for pair in itertools.combinations(group, 2))


def test_gone_files_are_not_listed_but_stay_copies() -> None:
    files = [file("small", "a", pixels=10), file("large", "b", gone=True)]
    assert group_copies(files, pairs("ab")) == []
    assert keepers_of_copies(files, pairs("ab")) == {"b": "a"}


def test_keepers_are_named_for_photos_that_are_copies_alone() -> None:
    files = [file("1", "a"), file("2", "a"), file("3", "b", pixels=10), file("4", "c")]
    assert keepers_of_copies(files, pairs("ab")) == {"b": "a"}


def test_no_files() -> None:
    assert group_copies([], {}) == []
