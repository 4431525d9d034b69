"""Members of tar files: all formats, odd names, damage, and what must not be followed."""

import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from facepipe.errors import ErrorCode, PhotoError
from facepipe.sources.tar_members import BLOCK, MOST_EXTENDED_HEADER, TarContents, read_member, scan_tar
from tests.archives import write_tar

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
PHOTOS = {f"{number:04}.jpg": bytes([number]) * (number * 700) for number in range(8)}


def scan(path: Path) -> TarContents:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return scan_tar(descriptor, lambda _: True)
    finally:
        os.close(descriptor)


def code_of(contents: TarContents) -> ErrorCode | None:
    return contents.damage.code if contents.damage else None


def add(archive: tarfile.TarFile, name: str, kind: bytes, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    archive.addfile(member)


@pytest.mark.parametrize("tar_format", FORMATS)
def test_members_are_what_was_written(tmp_path: Path, tar_format: int) -> None:
    path = write_tar(tmp_path / "x.tar", PHOTOS, tar_format)
    contents = scan(path)
    assert contents.damage is None
    assert {name.decode(): member.size for name, member in contents.members.items()} == {
        name: len(data) for name, data in PHOTOS.items()
    }
    assert all(read_member(path, name.encode(), 10_000) == data for name, data in PHOTOS.items())


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_are_long_or_no_text(tmp_path: Path, tar_format: int) -> None:
    names = [b"a/" * 300 + b"deep.jpg", b"\xff\xfe.jpg", b"new\nline.jpg", "é#%.jpg".encode(), b"\xff" * 300 + b".jpg"]
    path = write_tar(tmp_path / "x.tar", {os.fsdecode(name): name for name in names}, tar_format)
    assert list(scan(path).members) == names
    assert [read_member(path, name, 1000) for name in names] == names


def test_of_members_with_one_name_the_last_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for data in (b"old", b"newer"):
            member = tarfile.TarInfo("a.jpg")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert read_member(path, b"a.jpg", 100) == b"newer"


def test_archives_one_after_the_other_are_read_on(tmp_path: Path) -> None:
    whole = b"".join(write_tar(tmp_path / "part.tar", {name: b"x"}).read_bytes() for name in ("a.jpg", "b.jpg"))
    (tmp_path / "x.tar").write_bytes(whole)
    contents = scan(tmp_path / "x.tar")
    assert (list(contents.members), contents.damage) == ([b"a.jpg", b"b.jpg"], None)


def test_a_cut_archive_keeps_its_whole_members(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "whole.tar", PHOTOS, tarfile.USTAR_FORMAT).read_bytes()
    sound = scan(tmp_path / "whole.tar").members
    path = tmp_path / "x.tar"
    end = max(member.offset + member.size for member in sound.values())
    for size in range(1, end, 301):
        path.write_bytes(whole[:size])
        contents = scan(path)
        assert contents.members == {name: m for name, m in sound.items() if m.offset + m.size <= size}
        ends_between_members = any(m.offset + -(-m.size // BLOCK) * BLOCK == size for m in sound.values())
        assert ends_between_members or code_of(contents) in {ErrorCode.TRUNCATED, ErrorCode.NOT_AN_IMAGE}


def test_members_behind_damage_are_found(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", PHOTOS, tarfile.USTAR_FORMAT)
    sound = scan(path).members
    header = sound[b"0003.jpg"].offset - BLOCK
    with path.open("r+b") as file:
        file.seek(header + 5)
        file.write(b"garbage")
    contents = scan(path)
    assert contents.members == {name: member for name, member in sound.items() if name != b"0003.jpg"}
    assert code_of(contents) is ErrorCode.UNREADABLE
    assert f"{header:,}" in str(contents.damage)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", ErrorCode.EMPTY),
        (b"no archive at all " * 100, ErrorCode.NOT_AN_IMAGE),
        (b"\x1f\x8b\x08" + b"\x01" * 2000, ErrorCode.UNSUPPORTED),
        (b"\xfd7zXZ\x00" + b"\x01" * 2000, ErrorCode.UNSUPPORTED),
    ],
)
def test_what_is_no_tar(tmp_path: Path, content: bytes, code: ErrorCode) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    contents = scan(tmp_path / "x.tar")
    assert (contents.members, code_of(contents)) == ({}, code)


def test_links_devices_and_folders_are_no_photos(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        add(archive, "sym.jpg", tarfile.SYMTYPE, "/etc/passwd")
        add(archive, "hard.jpg", tarfile.LNKTYPE, "../../etc/passwd")
        add(archive, "device.jpg", tarfile.CHRTYPE)
        add(archive, "pipe.jpg", tarfile.FIFOTYPE)
        add(archive, "folder.jpg", tarfile.DIRTYPE)
        member = tarfile.TarInfo("/etc/absolute.jpg")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    assert list(scan(path).members) == [b"/etc/absolute.jpg"]
    assert read_member(path, b"/etc/absolute.jpg", 10) == b"abc"  # a name in the archive, never a path


def test_sparse_members_are_not_unfolded(tmp_path: Path) -> None:
    """A few bytes that say they stand for a terabyte; what follows them is found all the same."""
    sparse = tarfile.TarInfo("pax.jpg")
    sparse.size = 4
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40)}
    old = tarfile.TarInfo("gnu.jpg")
    old.size, old.type = 4, tarfile.GNUTYPE_SPARSE
    block = bytearray(old.tobuf(tarfile.GNU_FORMAT))
    block[482:483] = b"\1"  # a block of the map follows
    block[483:495] = b"77777777777\0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    map_block = bytes(504) + b"\0" + bytes(7)
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(sparse, io.BytesIO(b"abcd"))
        archive.fileobj.write(bytes(block) + map_block + b"abcd" + bytes(BLOCK - 4))
        last = tarfile.TarInfo("last.jpg")
        last.size = 2
        archive.addfile(last, io.BytesIO(b"ok"))
    contents = scan(path)
    assert {name: member.sparse for name, member in contents.members.items()} == {
        b"pax.jpg": True,
        b"gnu.jpg": True,
        b"last.jpg": False,
    }
    assert contents.damage is None
    assert read_member(path, b"last.jpg", 10) == b"ok"
    with pytest.raises(PhotoError, match="with holes"):
        read_member(path, b"gnu.jpg", 10)


def test_chains_and_giants_of_extended_headers_cost_nothing(tmp_path: Path) -> None:
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 2
    chain = (long_name.tobuf(tarfile.GNU_FORMAT) + b"a\0" + bytes(BLOCK - 2)) * 3000  # deeper than Python recurses
    giant = tarfile.TarInfo("giant")
    giant.type, giant.size = tarfile.XHDTYPE, MOST_EXTENDED_HEADER + BLOCK
    path = tmp_path / "x.tar"
    path.write_bytes(
        chain
        + giant.tobuf(tarfile.USTAR_FORMAT)
        + bytes(giant.size)
        + write_tar(tmp_path / "part.tar", {"last.jpg": b"ok"}, tarfile.USTAR_FORMAT).read_bytes()
    )
    contents = scan(path)
    assert code_of(contents) is ErrorCode.UNREADABLE
    assert len(contents.members) == 1


def test_a_hole_behind_an_archive_is_not_read_through(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"a.jpg": b"x"})
    os.truncate(path, 1 << 40)
    contents = scan(path)
    assert (list(contents.members), contents.damage) == ([b"a.jpg"], None)


def test_random_damage_never_breaks_the_walk(tmp_path: Path) -> None:
    seed = 11
    print("seed", seed)
    rng = random.Random(seed)
    whole = write_tar(tmp_path / "whole.tar", {"é" * 90 + name: data for name, data in PHOTOS.items()}).read_bytes()
    path = tmp_path / "x.tar"
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 20)):
            position = rng.randrange(len(damaged) // BLOCK) * BLOCK + rng.randrange(BLOCK)
            damaged[position] = rng.randrange(256)
        if rng.random() < 0.3:
            del damaged[rng.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        for member in scan(path).members.values():
            assert 0 <= member.offset <= member.offset + member.size <= len(damaged)


def test_what_reading_a_member_can_fail_with(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"a.jpg": b"abc"})
    assert read_member(path, b"a.jpg", 3) == b"abc"
    with pytest.raises(PhotoError, match=r"decode\.max_bytes") as too_large:
        read_member(path, b"a.jpg", 2)
    with pytest.raises(PhotoError, match="no longer holds") as gone:
        read_member(path, b"b.jpg", 3)
    path.unlink()
    with pytest.raises(PhotoError, match="no longer there") as vanished:
        read_member(path, b"a.jpg", 3)
    codes = [caught.value.code for caught in (too_large, gone, vanished)]
    assert codes == [ErrorCode.TOO_LARGE, ErrorCode.VANISHED, ErrorCode.VANISHED]


def test_an_archive_that_was_replaced_is_looked_through_again(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"a.jpg": b"abc"})
    assert read_member(path, b"a.jpg", 10) == b"abc"
    write_tar(tmp_path / "y.tar", {"first.jpg": b"x" * 600, "a.jpg": b"new"}).replace(path)
    assert read_member(path, b"a.jpg", 10) == b"new"
