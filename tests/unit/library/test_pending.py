"""What a scan and the tables leave to do, beside a slow loop over rows that says the same."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from facepipe.library.pending import compare_listing, pending_photos
from facepipe.schemas import LISTED_FILE
from facepipe.sources.selection import Selection
from tests.library_rows import table_of

T0 = datetime(2021, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
T1 = T0 + timedelta(microseconds=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def listing(root: Path, **files: tuple[int | None, datetime | None, str]) -> pa.Table:
    rows = [
        {"uri": f"{root.as_uri()}/{name}", "bytes": size, "modified_at": time, "status": status, "message": status}
        for name, (size, time, status) in files.items()
    ]
    return pa.Table.from_pylist(rows, schema=LISTED_FILE)


def rows_of(table: str, root: Path, **files: dict[str, Any]) -> pa.Table:
    defaults = {"bytes": 5, "modified_at": T0}
    return table_of(table, [{"uri": f"{root.as_uri()}/{name}", **defaults, **row} for name, row in files.items()])


def names(uris: Any) -> list[str]:
    return sorted(uri.rpartition("/")[2] for uri in uris.to_pylist())


@pytest.mark.parametrize("retry_failed", [False, True])
def test_every_kind_of_file(root: Path, retry_failed: bool) -> None:
    listed = listing(
        root,
        new=(5, T0, ""),
        known=(5, T0, ""),
        larger=(6, T0, ""),
        later=(5, T1, ""),
        failed=(5, T0, ""),
        failed_later=(5, T1, ""),
        failed_in_extract=(5, T0, ""),
        returned=(5, T0, ""),
        returned_changed=(7, T0, ""),
        broken=(None, None, "vanished"),
        broken_before=(None, None, "vanished"),
        broken_now=(None, None, "vanished"),
    )
    files = rows_of(
        "files",
        root,
        known={},
        larger={},
        later={},
        failed_in_extract={},
        broken_now={},
        returned={"missing_since": T1},
        returned_changed={"missing_since": T1},
        gone={},
        gone_before={"missing_since": T1},
    )
    errors = rows_of(
        "errors",
        root,
        failed={},
        failed_later={},
        failed_in_extract={},
        gone_and_failed={},
        broken_before={"bytes": None, "modified_at": None},
    )
    found = compare_listing(listed, files, errors, [root], retry_failed)

    again = ["broken_before", "failed"] if retry_failed else []
    changed = ["broken_now", "larger", "later", "returned_changed"]
    assert names(found.new["uri"]) == sorted(["broken", "failed_later", "new", *changed, *again])
    assert found.new.schema.equals(LISTED_FILE)
    assert names(found.changed) == changed
    cleared = ["failed_later", "gone_and_failed", *again, *(["failed_in_extract"] if retry_failed else [])]
    assert names(found.cleared) == sorted(cleared)
    assert names(found.missing) == ["gone"]
    assert names(found.returned) == ["returned"]
    assert found.seen == 12
    assert found.failed_before == (0 if retry_failed else 3)
    assert found.known == (3 if retry_failed else 2)
    assert found.new.num_rows + found.known + found.failed_before == found.seen


def test_nothing_scanned_and_nothing_known(root: Path) -> None:
    empty = listing(root)
    found = compare_listing(empty, table_of("files", []), table_of("errors", []), [root])
    assert (found.seen, found.known, found.failed_before, found.new.num_rows) == (0, 0, 0, 0)
    assert all(len(uris) == 0 for uris in (found.changed, found.cleared, found.missing, found.returned))


def test_only_what_lies_under_a_source_can_be_missing(root: Path) -> None:
    (root / "sub").mkdir()
    (root / "sub2").mkdir()
    uris = [f"{root.as_uri()}/{name}" for name in ("a.jpg", "sub/b.jpg", "sub2/c.jpg", "sub/deep/d.jpg")]
    files = table_of("files", [{"uri": uri, "bytes": 5, "modified_at": T0} for uri in uris])
    found = compare_listing(listing(root), files, table_of("errors", []), [root / "sub"])
    assert names(found.missing) == ["b.jpg", "d.jpg"]
    found = compare_listing(listing(root), files, table_of("errors", []), ["/"])
    assert len(found.missing) == 4


def test_files_in_a_folder_that_cannot_be_read_are_not_missing(root: Path) -> None:
    listed = listing(root, sub=(None, None, "unreadable"))
    files = table_of("files", [{"uri": f"{root.as_uri()}/{name}"} for name in ("sub/a.jpg", "subway.jpg")])
    assert names(compare_listing(listed, files, table_of("errors", []), [root]).missing) == ["subway.jpg"]


def test_a_linked_source_counts_as_the_folder_it_points_at(root: Path) -> None:
    (root.parent / "link").symlink_to("photos")
    files = rows_of("files", root, gone={})
    found = compare_listing(listing(root), files, table_of("errors", []), [root.parent / "link"])
    assert names(found.missing) == ["gone"]


def test_pending_contents_and_the_file_each_is_read_from() -> None:
    def file(uri: str, photo_id: str, missing: bool = False) -> dict[str, Any]:
        return {"uri": uri, "photo_id": photo_id, "missing_since": T0 if missing else None}

    files = table_of(
        "files",
        [
            file("z", "two places"),
            file("b", "two places"),
            file("c", "done"),
            file("d", "failed"),
            file("e", "failed here"),
            file("f", "failed here"),
            file("g", "gone", missing=True),
            file("h", "gone here", missing=True),
            file("i", "gone here"),
            file("j", "failed with other content"),
        ],
    )
    photos = table_of("photos", [{"photo_id": "done"}, {"photo_id": "of no file"}])
    errors = table_of(
        "errors",
        [
            {"uri": "d", "photo_id": "failed"},
            {"uri": "e", "photo_id": "failed here"},
            {"uri": "j", "photo_id": "what lay there before"},
            {"uri": "k", "photo_id": None},
        ],
    )
    expected = {"two places": "b", "failed here": "f", "gone here": "i", "failed with other content": "j"}
    pending = pending_photos(files, photos, errors)
    assert dict(zip(pending["photo_id"].to_pylist(), pending["uri"].to_pylist(), strict=True)) == expected
    assert pending["uri"].to_pylist() == sorted(pending["uri"].to_pylist())
    assert set(pending["status"].to_pylist()) == set(pending["message"].to_pylist()) == {""}
    retried = pending_photos(files, photos, errors, retry_failed=True)
    expected |= {"failed": "d", "failed here": "e"}
    assert dict(zip(retried["photo_id"].to_pylist(), retried["uri"].to_pylist(), strict=True)) == expected


def test_beyond_the_limit_all_stays_as_it_is(root: Path) -> None:
    listed = listing(root, a=(5, T0, ""), b=(6, T0, ""), c=(6, T0, ""), d=(5, T1, ""), e=(5, T0, ""))
    files = rows_of("files", root, b={}, c={}, e={}, gone={})
    errors = rows_of("errors", root, d={})
    found = compare_listing(listed, files, errors, [root], limit=2)
    assert names(found.new["uri"]) == ["a", "b"]
    assert (names(found.changed), names(found.cleared), names(found.missing)) == (["b"], [], ["gone"])
    assert (found.seen, found.known) == (3, 1)
    whole = compare_listing(listed, files, errors, [root], limit=4)
    assert (names(whole.new["uri"]), names(whole.cleared), whole.seen) == (["a", "b", "c", "d"], ["d"], 5)


def test_where_the_size_is_not_known_the_time_decides(root: Path) -> None:
    rows = {"x.parquet#0": (None, T0, ""), "x.parquet#1": (None, T1, ""), "x.parquet#2": (None, T0, "")}
    files = rows_of("files", root, **{"x.parquet#0": {}, "x.parquet#1": {}})
    errors = rows_of("errors", root, **{"x.parquet#2": {"bytes": None}})
    found = compare_listing(listing(root, **rows), files, errors, [root])
    assert names(found.new["uri"]) == names(found.changed) == ["x.parquet#1"]
    assert (found.known, found.failed_before) == (1, 1)


def test_what_was_not_selected_is_not_missing(root: Path) -> None:
    uris = ["a.jpg", "b.png", "2019/c.jpg", "x.tar#d.jpg", "x.tar#e.png"]
    files = rows_of("files", root, **{uri: {} for uri in uris})
    errors = rows_of("errors", root, **{"f.jpg": {}, "g.png": {}})
    selection = Selection(include=["*.jpg"], exclude=["2019"])
    found = compare_listing(listing(root), files, errors, [root], selection=selection)
    assert names(found.missing) == ["a.jpg", "x.tar#d.jpg"]
    assert names(found.cleared) == ["f.jpg"]


def test_what_lies_in_a_damaged_archive_is_not_missing(root: Path) -> None:
    listed = listing(root, **{"x.tar": (9, T0, "truncated"), "x.tar#a.jpg": (5, T0, "")})
    files = rows_of("files", root, **{"x.tar#a.jpg": {}, "x.tar#b.jpg": {}, "y.tar#c.jpg": {}})
    assert names(compare_listing(listed, files, table_of("errors", []), [root]).missing) == ["y.tar#c.jpg"]


def test_an_archive_as_source_holds_what_lies_in_it(root: Path) -> None:
    (root / "x.tar").touch()
    files = rows_of("files", root, **{"x.tar#b.jpg": {}, "y.tar#c.jpg": {}})
    found = compare_listing(listing(root), files, table_of("errors", []), [root / "x.tar"])
    assert names(found.missing) == ["x.tar#b.jpg"]


def test_packed_copies_are_read_first_and_outlive_their_files(root: Path) -> None:
    files = rows_of(
        "files",
        root,
        a={"photo_id": "twice"},
        b={"photo_id": "twice", "packed": "shards/s.parquet#10"},
        c={"photo_id": "gone", "packed": "shards/s.parquet#9", "missing_since": T1},
        d={"photo_id": "gone and failed", "packed": "shards/s.parquet#2", "missing_since": T1},
        e={"photo_id": "not packed"},
    )
    errors = rows_of("errors", root, d={"photo_id": "gone and failed"})
    pending = pending_photos(files, table_of("photos", []), errors, library="file:///library")
    assert pending.select(["photo_id", "read_from"]).to_pylist() == [
        {"photo_id": "gone", "read_from": "file:///library/shards/s.parquet#9"},
        {"photo_id": "twice", "read_from": "file:///library/shards/s.parquet#10"},
        {"photo_id": "not packed", "read_from": f"{root.as_uri()}/e"},
    ]
    assert names(pending["uri"]) == ["b", "c", "e"]
    # Its error stays, or it would be tried again by every run.
    assert names(compare_listing(listing(root), files, errors, [root]).cleared) == []


def test_rows_of_a_parquet_file_come_in_order_of_their_numbers(root: Path) -> None:
    uris = ["b.jpg", "a.parquet#10", "a.parquet#9", "a.tar#2.jpg", "a.tar#10.jpg", "a.parquet#100"]
    files = rows_of("files", root, **{uri: {"photo_id": uri} for uri in uris})
    pending = pending_photos(files, table_of("photos", []), table_of("errors", []))
    expected = ["a.parquet#9", "a.parquet#10", "a.parquet#100", "a.tar#10.jpg", "a.tar#2.jpg", "b.jpg"]
    assert pending["photo_id"].to_pylist() == expected


def test_nothing_is_pending_in_an_empty_library() -> None:
    assert pending_photos(table_of("files", []), table_of("photos", []), table_of("errors", [])).num_rows == 0
