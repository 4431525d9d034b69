import hashlib
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.stages.find_duplicates import (
    METHOD,
    MOST_PHOTOS,
    PHOTO_COLUMNS,
    comparison_rows,
    find_duplicates,
    find_keepers,
    photos_to_compare,
    search_copies,
)

AT = datetime(2022, 2, 2, tzinfo=UTC)
NOTHING = schemas.COMPARISONS.empty_table()


def photo_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def photos(hashes: dict[str, int]) -> pa.Table:
    """Photos by name, whose hashes are so many bits from one another as the numbers are apart."""
    rows = [
        {
            "photo_id": photo_id(name),
            "width": 640,
            "height": 480 + place,
            "perceptual_hash": np.packbits(np.arange(256) < bits).tobytes(),
        }
        for place, (name, bits) in enumerate(hashes.items())
    ]
    return pa.Table.from_pylist(rows, pa.schema([schemas.PHOTOS.field(name) for name in PHOTO_COLUMNS]))


def files(*names: str, **changes: Any) -> pa.Table:
    row = dict.fromkeys(schemas.FILES.names) | {"bytes": 1000, "modified_at": AT, "media_type": "image/jpeg"} | changes
    rows = [row | {"uri": f"file:///{name}.jpg", "photo_id": photo_id(name)} for name in names]
    return pa.Table.from_pylist(rows, schemas.FILES)


def verdict(first: str, second: str, kind: str | None, difference: float = 0.5, method: str = METHOD) -> dict[str, Any]:
    low, high = sorted((photo_id(first), photo_id(second)))
    return {"photo_id": low, "other_id": high, "kind": kind, "difference": difference, "method": method}


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schemas.COMPARISONS)


def pairs_in(batches: list[pa.Table]) -> set[frozenset[str]]:
    rows = [row for batch in batches for row in batch.to_pylist()]
    return {frozenset((row["photo_id"], other)) for row in rows for other in row["compare_with"]}


def pair(first: str, second: str) -> frozenset[str]:
    return frozenset((photo_id(first), photo_id(second)))


def test_photos_with_near_hashes_are_to_be_compared_and_every_photo_is_searched_once() -> None:
    known = photos({"a": 0, "b": 20, "c": 128})
    rows = search_copies(known, NOTHING).rows
    found = [row for row in rows.to_pylist() if row["other_id"]]
    assert [{row["photo_id"], row["other_id"]} for row in found] == [set(pair("a", "b"))]
    assert all(row["photo_id"] < row["other_id"] and row["kind"] is None for row in found)
    assert len(rows) == 1 + 3
    assert len(search_copies(known, rows).rows) == 0


def test_only_pairs_with_a_new_photo_are_found_later() -> None:
    before = search_copies(photos({"a": 0, "b": 20}), NOTHING).rows
    later = search_copies(photos({"a": 0, "b": 20, "c": 10}), before).rows.to_pylist()
    assert {frozenset((row["photo_id"], row["other_id"])) for row in later if row["other_id"]} == {
        pair("a", "c"),
        pair("b", "c"),
    }


def test_photos_without_a_hash_wait() -> None:
    known = photos({"a": 0, "b": 0})
    unhashed = known.set_column(3, "perceptual_hash", pa.array([None, b"\0" * 32], pa.binary()))
    assert search_copies(unhashed, NOTHING).rows["photo_id"].to_pylist() == [photo_id("b")]


def test_another_method_starts_anew() -> None:
    old = table(verdict("a", "b", "near", method="older"), {"photo_id": photo_id("a"), "method": "older"})
    search = search_copies(photos({"a": 0, "b": 20}), old)
    assert search.stale
    assert len(search.rows) == 1 + 2
    assert len(find_duplicates(files("a", "b"), photos({"a": 0, "b": 20}), old)) == 0


def test_a_pair_is_compared_until_it_has_a_verdict() -> None:
    here = files("a", "b", "c")
    found = table(verdict("a", "b", None), verdict("b", "c", None))
    assert pairs_in(photos_to_compare(here, found)) == {pair("a", "b"), pair("b", "c")}
    half = pa.concat_tables([found, table(verdict("b", "c", "different"))])  # killed after its first commit
    assert pairs_in(photos_to_compare(here, half)) == {pair("a", "b")}
    done = pa.concat_tables([half, table(verdict("a", "b", "near"))])
    assert photos_to_compare(here, done) == []


def test_what_cannot_be_read_is_compared_when_it_can() -> None:
    found = table(verdict("a", "b", None))
    gone = pa.concat_tables([files("a"), files("b", missing_since=AT)])
    assert photos_to_compare(gone, found) == []
    packed = pa.concat_tables([files("a"), files("b", missing_since=AT, packed="shards/x.parquet#3")])
    batches = photos_to_compare(packed, found, "file:///library")
    assert pairs_in(batches) == {pair("a", "b")}
    assert "file:///library/shards/x.parquet#3" in batches[0]["read_from"].to_pylist()


def test_every_batch_holds_both_photos_of_its_pairs_and_not_too_many() -> None:
    names = [f"{number:03}" for number in range(60)]
    large = [(first, second) for first in names[:40] for second in names[:40] if first < second]
    small = [(names[place], names[place + 1]) for place in range(40, 59, 2)]
    batches = photos_to_compare(files(*names), table(*[verdict(*both, None) for both in large + small]))
    assert pairs_in(batches) == {pair(*both) for both in large + small}
    assert sum(len(others) for batch in batches for others in batch["compare_with"].to_pylist()) == len(large + small)
    for batch in batches:
        inside = batch["photo_id"].to_pylist()
        assert len(inside) == len(set(inside)) <= MOST_PHOTOS
        assert {other for others in batch["compare_with"].to_pylist() for other in others} <= set(inside)


def test_what_failed_leaves_no_verdict() -> None:
    columns = {
        "photo_id": ["1", "2", "3"],
        "compare_with": [["2", "3"], [], []],
        "kinds": [["near", None], [], []],
        "differences": [[0.25, None], [], []],
    }
    rows = comparison_rows(
        pa.table(
            columns, schema=pa.schema([schemas.PENDING_PHOTO.field(0), *schemas.TO_COMPARE, *schemas.COMPARED_PHOTO])
        )
    )
    assert rows.to_pylist() == [
        {"photo_id": "1", "other_id": "2", "kind": "near", "difference": 0.25, "method": METHOD}
    ]


def test_files_of_compared_photos_and_of_the_same_bytes_become_rows() -> None:
    here = pa.concat_tables(
        [files("a", "b", "c"), files("a").set_column(0, "uri", pa.array(["file:///copy of a.jpg"]))]
    )
    compared = table(verdict("a", "b", "near"), verdict("b", "c", "different", 9.0))
    rows = find_duplicates(here, photos({"a": 0, "b": 20, "c": 30}), compared).to_pylist()
    assert {(row["uri"], row["kind"], row["keeper"]) for row in rows} == {
        ("file:///b.jpg", "near", True),  # the higher one
        ("file:///a.jpg", "near", False),
        ("file:///copy of a.jpg", "near", False),
    }


def test_a_copy_stays_one_when_its_file_is_deleted() -> None:
    known, compared = photos({"a": 0, "b": 20}), table(verdict("a", "b", "near"))
    gone = pa.concat_tables([files("b"), files("a", missing_since=AT)])
    assert len(find_duplicates(gone, known, compared)) == 0
    assert find_keepers(gone, known, compared) == {photo_id("a"): photo_id("b")}
    assert find_keepers(files("b"), known, compared) == {photo_id("a"): photo_id("b")}
