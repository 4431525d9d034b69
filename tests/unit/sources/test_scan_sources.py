"""Scans: what is found, what is skipped, in which order, and what becomes of links and unreadable places."""

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facepipe.errors import WrongUsageError
from facepipe.schemas import LISTED_FILE
from facepipe.sources.listed_files import ListedFile, listed, listed_table
from facepipe.sources.read_source import read_source
from facepipe.sources.scan_sources import list_files, list_sources, scan_sources
from facepipe.sources.selection import Selection
from facepipe.sources.uris import uri_to_path
from tests.archives import write_parquet, write_tar


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode(errors="surrogateescape"))


def scan(*sources: Path | str, library: Path | None = None) -> list[ListedFile]:
    return list(scan_sources(list(sources), library))


def names(root: Path, found: Sequence[ListedFile]) -> list[str]:
    assert all(file.status == "" for file in found), found
    return [str(uri_to_path(file.uri).relative_to(root.resolve())) for file in found]


def test_folders_are_searched_in_order_of_bytes_for_photos_alone(tmp_path: Path) -> None:
    make(tmp_path, "b.JPG", "a.jpeg", "Z.png", "notes.txt", "a.jpg.xmp", "sub/c.webp", "sub/deep/d.tiff", "B/e.bmp")
    expected = ["Z.png", "a.jpeg", "b.JPG", "B/e.bmp", "sub/c.webp", "sub/deep/d.tiff"]
    assert names(tmp_path, scan(tmp_path)) == expected


def test_size_and_time_to_the_microsecond(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(0, 1_600_000_000_123_456_789))
    (found,) = scan(tmp_path)
    assert found.bytes == len("a.jpg")
    assert found.modified_at == datetime(2020, 9, 13, 12, 26, 40, 123456, tzinfo=UTC)


def test_formats_of_phones_and_cameras_are_listed(tmp_path: Path) -> None:
    photos = ["a.heic", "b.gif", "c.avif", "d.CR3", "e.nef", "f.dng", "g.JXL"]
    make(tmp_path, *photos, "h.xmp", "i.thm")
    assert names(tmp_path, scan(tmp_path)) == photos


def test_films_are_counted_and_skipped(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.MP4", "sub/c.mov", "sub/.d.mov", "e.mts", "not/f.mkv")
    write_tar(tmp_path / "x.tar", {"0.jpg": b"x", "1.webm": b"x"})
    (tmp_path / "g.mp4").symlink_to("nowhere")
    found = scan_sources([tmp_path, tmp_path / "b.MP4"], selection=Selection(exclude=["not"]))
    assert [file.uri.rpartition("/")[2] for file in found] == ["a.jpg", "x.tar#0.jpg"]
    assert found.videos_skipped == 4


def test_members_of_tar_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    members = ["./0.jpg", "0.json", "0.cls", "a/1.PNG", ".hidden.jpg", "._0.jpg", ".git/2.jpg", "new\nline #.jpg"]
    path = write_tar(tmp_path / "sub/x.tar", {name: name.encode() for name in members})
    os.utime(path, ns=(0, 1_600_000_000_123_456_789))
    found = scan(tmp_path)
    expected = ["./0.jpg", "a/1.PNG", "new\nline #.jpg"]
    assert [file.uri for file in found] == [f"{path.as_uri()}#{quote(name)}" for name in expected]
    assert [file.bytes for file in found] == [len(name) for name in expected]
    assert {file.modified_at for file in found} == {datetime(2020, 9, 13, 12, 26, 40, 123456, tzinfo=UTC)}
    assert all(read_source(file.uri, 100).decode() == name for file, name in zip(found, expected, strict=True))
    assert scan(path) == found  # a source itself
    assert scan(tmp_path, path) == found


def test_rows_of_parquet_files_are_listed_unread(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", [b"a", None, b"c" * 5000])
    found = scan(tmp_path)
    assert [file.uri for file in found] == [f"{path.as_uri()}#{row}" for row in range(3)]
    assert {file.bytes for file in found} == {None}
    assert {file.status for file in found} == {""}
    assert scan(path) == found


def test_archives_that_cannot_be_read_are_rows(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "cut.tar", {"0.jpg": b"x" * 600, "1.jpg": b"y" * 600}).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:2100])
    (tmp_path / "text.parquet").write_text("text")
    pq.write_table(pa.table({"name": ["a"]}), tmp_path / "names.parquet")
    make(tmp_path, "packed.tar.gz", "packed.TGZ", "text.tar")
    found = {file.uri.rpartition("/")[2]: file for file in scan(tmp_path)}
    assert {name: file.status for name, file in found.items()} == {
        "cut.tar#0.jpg": "",
        "cut.tar": "truncated",
        "text.parquet": "unreadable",
        "names.parquet": "unsupported",
        "packed.tar.gz": "unsupported",
        "packed.TGZ": "unsupported",
        "text.tar": "not_an_image",
    }
    assert found["cut.tar"].bytes == 2100
    assert "pack it again without compression" in found["packed.TGZ"].message


def test_selection_reaches_into_archives(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.png", "2019/c.jpg", "2019/raw/d.jpg")
    write_tar(tmp_path / "x.tar", {"e.jpg": b"x", "f.png": b"x", "raw/g.jpg": b"x"})
    write_parquet(tmp_path / "y.parquet", [b"x"])

    def taken(include: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[str]:
        found = scan_sources([tmp_path], selection=Selection(include, exclude))
        return [file.uri.removeprefix(f"{tmp_path.as_uri()}/") for file in found]

    assert taken(include=["*.jpg"], exclude=["raw"]) == ["a.jpg", "x.tar#e.jpg", "2019/c.jpg"]
    assert taken(include=["x.tar", "*.parquet"]) == ["x.tar#e.jpg", "x.tar#f.png", "x.tar#raw/g.jpg", "y.parquet#0"]
    assert taken(exclude=["*.tar", "y.*", "2019"]) == ["a.jpg", "b.png"]


def test_excluded_folders_are_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.jpg", "in/b.jpg", "in/out/c.jpg")
    looked_into = []
    real = os.scandir

    def note(path: Any) -> Any:
        looked_into.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(os, "scandir", note)
    assert names(tmp_path, list(scan_sources([tmp_path], selection=Selection(exclude=["in/out"])))) == [
        "a.jpg",
        "in/b.jpg",
    ]
    assert looked_into == [tmp_path.name, "in"]


def test_another_library_is_no_photo_album(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.jpg",
        "library/library.json",
        "library/tables/b.jpg",
        "library/report/c.jpg",
        "no/library.json",
        "no/d.jpg",
    )
    assert names(tmp_path, scan(tmp_path)) == ["a.jpg", "no/d.jpg"]


def test_hidden_files_and_folders_are_skipped_at_every_level(tmp_path: Path) -> None:
    make(tmp_path, ".a.jpg", ".hidden/b.jpg", "sub/.c.jpg", "sub/.hidden/d.jpg", "sub/e.jpg")
    assert names(tmp_path, scan(tmp_path)) == ["sub/e.jpg"]


def test_a_hidden_source_is_searched_all_the_same(tmp_path: Path) -> None:
    make(tmp_path, ".photos/a.jpg")
    assert names(tmp_path, scan(tmp_path / ".photos")) == [".photos/a.jpg"]


@pytest.mark.parametrize("marked", [".", "sub", "sub/deep"])
def test_folders_with_nomedia_are_skipped_at_every_level(tmp_path: Path, marked: str) -> None:
    make(tmp_path, "a.jpg", "sub/b.jpg", "sub/deep/c.jpg", "sub/deep/er/d.jpg", f"{marked}/.nomedia")
    kept: dict[str, list[str]] = {".": [], "sub": ["a.jpg"], "sub/deep": ["a.jpg", "sub/b.jpg"]}
    assert names(tmp_path, scan(tmp_path)) == kept[marked]


def test_a_file_named_as_source_is_always_taken(tmp_path: Path) -> None:
    make(tmp_path, "sub/.nomedia", "sub/photo.dat", ".b.jpg")
    assert names(tmp_path, scan(tmp_path / "sub/photo.dat", tmp_path / ".b.jpg")) == ["sub/photo.dat", ".b.jpg"]


def test_overlapping_sources_list_each_file_once(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "sub/b.jpg", "sub/c.dat")
    sources = [tmp_path / "sub", tmp_path, tmp_path / "sub", tmp_path / "a.jpg", tmp_path / "sub/c.dat"]
    assert names(tmp_path, scan(*sources, tmp_path / "sub/../sub/c.dat")) == ["sub/b.jpg", "a.jpg", "sub/c.dat"]


def test_every_spelling_of_a_source_gives_the_same_uris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "photos/a.jpg")
    (tmp_path / "link").symlink_to("photos")
    monkeypatch.chdir(tmp_path)
    spellings: list[Path | str] = [
        tmp_path / "photos",
        "photos",
        "./photos/",
        "photos/../photos",
        "link",
        (tmp_path / "photos").as_uri(),
    ]
    assert {tuple(scan(spelling)) for spelling in spellings} == {tuple(scan(tmp_path / "photos"))}


def test_links_are_followed_once_and_after_all_real_folders(tmp_path: Path) -> None:
    make(tmp_path, "in/z/a.jpg", "out/b.jpg", "out/sub/c.jpg", "store/blob")
    (tmp_path / "in/1").symlink_to("z")  # sorts before its target, which keeps its own name
    (tmp_path / "in/2").symlink_to(tmp_path / "out")
    (tmp_path / "in/3").symlink_to(tmp_path / "out/sub")  # listed through 2 already
    (tmp_path / "in/4.jpg").symlink_to(tmp_path / "store/blob")
    (tmp_path / "in/5.jpg").symlink_to(tmp_path / "store/blob")
    (tmp_path / "in/6.jpg").symlink_to("z/a.jpg")
    (tmp_path / "in/7.txt").symlink_to("z/a.jpg")
    (tmp_path / "in/.8").symlink_to(tmp_path / "store")
    assert names(tmp_path, scan(tmp_path / "in")) == ["in/z/a.jpg", "in/2/b.jpg", "in/2/sub/c.jpg", "in/4.jpg"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    make(tmp_path, "a/b/photo.jpg")
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "a/self").symlink_to("self")
    found = scan(tmp_path)
    assert names(tmp_path, found[:1]) == ["a/b/photo.jpg"]
    assert [(file.status, Path(file.uri).name) for file in found[1:]] == [("unreadable", "self")]


def test_a_link_to_a_folder_with_nomedia_or_to_the_library_is_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "in/a.jpg", "out/.nomedia", "out/b.jpg", "library/report/c.jpg")
    (tmp_path / "in/out").symlink_to(tmp_path / "out")
    (tmp_path / "in/library").symlink_to(tmp_path / "library")
    assert names(tmp_path, scan(tmp_path / "in", library=tmp_path / "library")) == ["in/a.jpg"]


def test_broken_links_become_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "b.txt").symlink_to("nowhere.txt")
    (found,) = scan(tmp_path)
    assert found == ListedFile((tmp_path / "a.jpg").as_uri(), None, None, "vanished", "the link points at nothing")


def test_an_unreadable_folder_is_a_row_and_costs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.jpg", "locked/b.jpg", "z/c.jpg")
    real = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    first, locked, last = scan(tmp_path)
    assert names(tmp_path, [first, last]) == ["a.jpg", "z/c.jpg"]
    assert locked == ListedFile((tmp_path / "locked").as_uri(), None, None, "unreadable", "Permission denied")


def test_pipes_and_sockets_are_no_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
        assert scan(tmp_path) == []
    with pytest.raises(WrongUsageError, match="neither a folder nor a file"):
        scan(tmp_path / "pipe.jpg")


def test_names_that_are_no_text_round_trip(tmp_path: Path) -> None:
    odd = [b"\xff\xfe.jpg", b"new\nline.jpg", b"100%.jpg", b"a#b?.jpg", "é.jpg".encode()]
    for name in odd:
        (tmp_path / os.fsdecode(name)).touch()
    found = scan(tmp_path)
    assert [os.fsencode(uri_to_path(file.uri).name) for file in found] == sorted(odd)
    assert all(uri_to_path(file.uri).is_file() and file.uri.isprintable() and file.uri.isascii() for file in found)


def test_times_beyond_the_calendar_are_kept_as_its_end(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    os.utime(tmp_path / "b.jpg", ns=(0, -1_000_000_000))

    class Odd:
        st_mtime_ns, st_size = 2**70, 5

    assert listed(tmp_path / "a.jpg", Odd()).modified_at == datetime(9999, 12, 31, tzinfo=UTC)  # type: ignore[arg-type]
    assert scan(tmp_path)[1].modified_at == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("source", ["absent", "s3://bucket/photos", "https://example.org/a.jpg", "file://server/a"])
def test_sources_that_are_not_there(tmp_path: Path, source: str) -> None:
    with pytest.raises(WrongUsageError, match=r"absent|not on this machine|not the address"):
        scan_sources([source if "://" in source else tmp_path / source])


def test_the_library_is_no_source_and_is_skipped_inside_one(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "library/report/b.jpg", "library2/c.jpg")
    library = tmp_path / "library"
    assert names(tmp_path, scan(tmp_path, library=library)) == ["a.jpg", "library2/c.jpg"]
    assert names(tmp_path, scan(tmp_path, library=tmp_path / "not yet there"))[0] == "a.jpg"
    for source in (library, library / "report"):
        with pytest.raises(WrongUsageError, match="lies in the library"):
            scan_sources([source], library)


def test_a_listing_as_a_table(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to("nowhere")
    table = list_sources([tmp_path])
    assert table.schema.equals(LISTED_FILE)
    assert table.to_pylist() == [file._asdict() for file in scan(tmp_path)]
    assert listed_table(iter([])).equals(LISTED_FILE.empty_table())
    many = listed_table(ListedFile(f"file:///{i}", i, datetime(2020, 1, 1, tzinfo=UTC)) for i in range(70_000))
    assert many["bytes"].to_pylist() == list(range(70_000))


def test_named_files_are_listed_one_by_one(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a.dat")
    (tmp_path / "link.jpg").symlink_to("b.jpg")
    paths = [tmp_path / name for name in ("b.jpg", "link.jpg", "a.dat", "b.jpg", "absent.jpg")]
    table = list_files(paths)
    assert table["uri"].to_pylist() == [path.as_uri() for path in paths]
    assert table["status"].to_pylist() == ["", "", "", "", "vanished"]
    assert pa.types.is_timestamp(table["modified_at"].type)
