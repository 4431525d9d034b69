"""Photos inside tar archives: which members there are, and the bytes of one of them.

The standard library reads each header; the walk from header to header is our own. `tarfile` loads extended headers of
any size, recurses through chains of them and gives up at the first damage, which archives from anywhere must not do to
us. Nothing is ever unpacked: a name is a name and never a path, and links, devices and sparse members are not followed.
"""

import os
import tarfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from facepipe.errors import ErrorCode, PhotoError
from facepipe.sources.hostile_files import check_size, opened
from facepipe.sources.photo_names import is_photo_name

BLOCK = 512
INDEXED_ARCHIVES = 4  # kept a process
MOST_EXTENDED_HEADER = 1 << 20  # a name is shorter
MOST_ZEROS = 1 << 20  # between an archive and another one appended to it; more is a hole without end
MOST_SEARCHED = 1 << 30  # behind a damaged header, for the next sound one
COMPRESSED_ADVICE = "the archive is compressed: unpack it, or pack it again without compression"
ENDS_EARLY = "the archive ends early: its last members are lost"
SPARSE_ADVICE = "the archive stores this member with holes: pack it again without --sparse"
_CHUNK = 1 << 20
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")
_WITHOUT_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)


class Member(NamedTuple):
    """A regular member.

    Attributes:
        offset: of its first byte in the archive.
        size: its bytes.
        sparse: whether holes were left out of it, so that its bytes don't lie there as they are.
    """

    offset: int
    size: int
    sparse: bool = False


@dataclass
class TarContents:
    """What a walk through an archive found.

    Attributes:
        members: by name; of several with one name, the last one, as unpacking would leave it.
        damage: why members may be lacking; None for a sound archive.
    """

    members: dict[bytes, Member] = field(default_factory=dict)
    damage: PhotoError | None = None


@dataclass
class _Announced:
    """What extended headers say about the member that follows them."""

    name: bytes | None = None
    size: int | None = None
    sparse: bool = False


def scan_tar(descriptor: int, wanted: Callable[[bytes], bool]) -> TarContents:
    """Return an archive's regular members, those behind damage too, as far as they are whole.

    Args:
        descriptor: of the archive, open for reading.
        wanted: which names to keep.
    """
    return _Walk(descriptor, wanted).run()


def decoded(name: bytes) -> str:
    """Return a member's name as text, with surrogate escapes where it is not UTF-8."""
    return name.decode("utf-8", "surrogateescape")


def read_member(path: Path, name: bytes, max_bytes: int) -> bytes:
    """Return a member's bytes; raises as `read_source`."""
    with opened(path) as descriptor:
        status = os.fstat(descriptor)
        members = _index(path, status.st_size, status.st_mtime_ns, status.st_ino)
        member = members.get(name)
        if member is None:
            raise PhotoError(ErrorCode.VANISHED, "the archive no longer holds this member")
        if member.sparse:
            raise PhotoError(ErrorCode.UNSUPPORTED, SPARSE_ADVICE)
        check_size(member.size, max_bytes)
        data = os.pread(descriptor, member.size, member.offset)
        if len(data) < member.size:
            raise PhotoError(ErrorCode.VANISHED, "the archive was cut short while it was read")
        return data


@lru_cache(maxsize=INDEXED_ARCHIVES)
def _index(path: Path, size: int, modified_ns: int, inode: int) -> dict[bytes, Member]:  # noqa: ARG001 - they are the key
    with opened(path) as descriptor:
        return scan_tar(descriptor, lambda name: is_photo_name(decoded(name))).members


class _Walk:
    def __init__(self, descriptor: int, wanted: Callable[[bytes], bool]) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._wanted = wanted
        self._found = TarContents()
        self._announced = _Announced()
        self._sound_headers = 0

    def run(self) -> TarContents:
        try:
            self._walk()
        except OSError as error:
            self._damaged(ErrorCode.UNREADABLE, f"the archive can't be read to its end: {error.strerror or error}")
        return self._found

    def _walk(self) -> None:
        position = 0
        while position < self._size:
            block = os.pread(self._descriptor, BLOCK, position)
            if not block.strip(b"\0"):
                position = self._skip_zeros(position)
                continue
            header = _parse(block)
            if header is None:
                self._note_bad_header(block, position)
                position = self._next_header(position + BLOCK)
                self._announced = _Announced()
                continue
            self._sound_headers += 1
            position = self._take(header, position + BLOCK)
        if position > self._size:  # cut in the padding of the last member found
            self._damaged(ErrorCode.TRUNCATED, ENDS_EARLY)
        if self._size == 0:
            self._damaged(ErrorCode.EMPTY, "the archive is empty")

    def _take(self, header: tarfile.TarInfo, data_at: int) -> int:
        """Note the member, or what an extended header says, and return where the next header lies."""
        if header.type == tarfile.GNUTYPE_SPARSE:
            data_at = self._skip_sparse_maps(header, data_at)
        announced = self._announced
        regular = header.type in tarfile.REGULAR_TYPES
        size = announced.size if regular and announced.size is not None else header.size
        if header.type in _WITHOUT_DATA:
            size = 0
        if data_at + size > self._size:
            self._damaged(ErrorCode.TRUNCATED, ENDS_EARLY)
            return self._size
        if header.type in {*_PAX, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}:
            self._announce(header.type, data_at, size)
        else:
            name = announced.name if announced.name is not None else header.name.encode("utf-8", "surrogateescape")
            if regular and self._wanted(name):
                sparse = announced.sparse or header.type == tarfile.GNUTYPE_SPARSE
                self._found.members[name] = Member(data_at, size, sparse)
            self._announced = _Announced()
        return data_at + -(-size // BLOCK) * BLOCK

    def _announce(self, kind: bytes, data_at: int, size: int) -> None:
        if size > MOST_EXTENDED_HEADER:
            self._damaged(ErrorCode.UNREADABLE, "the archive announces a name of more than a megabyte")
            return
        if kind == tarfile.GNUTYPE_LONGNAME:
            self._announced.name = os.pread(self._descriptor, size, data_at).partition(b"\0")[0]
        elif kind in _PAX:
            for key, value in _pax_records(os.pread(self._descriptor, size, data_at)):
                if key == b"path":
                    self._announced.name = value
                elif key == b"size" and value.isdigit():
                    self._announced.size = int(value[:20])
                elif key.startswith(b"GNU.sparse."):
                    self._announced.sparse = True

    def _skip_sparse_maps(self, header: tarfile.TarInfo, position: int) -> int:
        """Return where a sparse member's data begin: a flag says whether one more block of its map follows."""
        more = os.pread(self._descriptor, 1, position - BLOCK + 482)
        while more.strip(b"\0") and position < self._size:
            more = os.pread(self._descriptor, 1, position + 504)
            position += BLOCK
        return position

    def _skip_zeros(self, position: int) -> int:
        """Return where the zeros that end an archive end themselves: another archive may have been appended."""
        stop = min(self._size, position + MOST_ZEROS)
        zeros = os.pread(self._descriptor, stop - position, position)
        used = len(zeros) - len(zeros.lstrip(b"\0"))
        return self._size if used == len(zeros) else position + used // BLOCK * BLOCK

    def _next_header(self, position: int) -> int:
        """Return where the next sound header lies, or the archive's end."""
        stop = min(self._size, position + MOST_SEARCHED)
        while position < stop:
            chunk = os.pread(self._descriptor, _CHUNK, position)
            for start in range(0, len(chunk) - BLOCK + 1, BLOCK):
                if chunk[start + 257 : start + 262] == b"ustar" and _parse(chunk[start : start + BLOCK]) is not None:
                    return position + start
            position += _CHUNK
        return self._size

    def _note_bad_header(self, block: bytes, position: int) -> None:
        if position == 0 and block.startswith(_COMPRESSED):
            self._damaged(ErrorCode.UNSUPPORTED, COMPRESSED_ADVICE)
        elif self._sound_headers == 0:
            self._damaged(ErrorCode.NOT_AN_IMAGE, "this is no tar archive")
        elif len(block) < BLOCK:
            self._damaged(ErrorCode.TRUNCATED, ENDS_EARLY)
        else:
            self._damaged(ErrorCode.UNREADABLE, f"the archive is damaged {position:,} bytes from its start")

    def _damaged(self, code: ErrorCode, message: str) -> None:
        self._found.damage = self._found.damage or PhotoError(code, message)


def _parse(block: bytes) -> tarfile.TarInfo | None:
    """Return a header, its sum checked; None where the block is none."""
    with suppress(tarfile.HeaderError, ValueError):
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.size >= 0:
            return header
    return None


def _pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the records of a pax header (`LENGTH KEY=VALUE` and a newline each) as far as they are well formed."""
    records, position = [], 0
    while position < len(data):
        digits, space, _ = data[position : position + 20].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[position + len(digits) + 1 : position + length]
        key, equals, value = record.removesuffix(b"\n").partition(b"=")
        if length <= len(digits) or not equals:
            break
        records.append((key, value))
        position += length
    return records
