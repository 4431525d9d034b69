"""What a scan and the tables leave to do, beside a slow loop over rows that says the same."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from facepipe.library.pending import compare_listing, pending_photos
from facepipe.schemas import LISTED_FILE
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


def test_nothing_is_pending_in_an_empty_library() -> None:
    assert pending_photos(table_of("files", []), table_of("photos", []), table_of("errors", [])).num_rows == 0
