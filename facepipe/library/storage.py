"""Where a library lies: a local folder or an object store, with files that appear whole or not at all."""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import pyarrow.fs as pafs

from facepipe.errors import LibraryError, WrongUsageError
from facepipe.sources.uris import uri_to_path

LONGEST_LINE = 200
_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Storage:
    """A library's root. Only its location travels to workers; access to object stores comes from the environment.

    Attributes:
        location: an absolute local path, or a URI such as `s3://bucket/library`.
    """

    location: str

    @classmethod
    def at(cls, location: str | Path) -> "Storage":
        """Return the storage at a folder or URI, which need not exist yet.

        Raises:
            WrongUsageError: the path holds characters that Delta tables can't be addressed with.
        """
        text = str(location)
        if text.startswith("file://"):
            text = str(uri_to_path(text))
        if _SCHEME.match(text):
            return cls(text.rstrip("/"))
        path = os.path.realpath(text)
        if not _is_addressable(path):
            raise WrongUsageError(
                f"a library can't lie in {path!r}: choose a path of valid UTF-8 without control characters or %XX"
            )
        return cls(path)

    @property
    def is_local(self) -> bool:
        """Whether the library is a folder of this machine (or of a mounted file system)."""
        return not _SCHEME.match(self.location)

    def address(self, *parts: str) -> str:
        """Return the path or URI of something in the library, as `deltalake` and people take it."""
        return "/".join([self.location, *parts])

    def open_filesystem(self) -> tuple[pafs.FileSystem, str]:
        """Return the file system that holds the library and the library's path in it."""
        if self.is_local:
            return pafs.LocalFileSystem(), self.location
        filesystem, path = pafs.FileSystem.from_uri(self.location)
        return filesystem, path

    def list_names(self) -> list[str]:
        """Return the names directly under the root, sorted; none where it does not exist yet."""
        filesystem, root = self.open_filesystem()
        found = filesystem.get_file_info(pafs.FileSelector(root, allow_not_found=True))
        return sorted(entry.base_name for entry in found)

    def read_bytes(self, *parts: str) -> bytes | None:
        """Return a file's content; None where there is no such file."""
        filesystem, root = self.open_filesystem()
        path = "/".join([root, *parts])
        if filesystem.get_file_info(path).type != pafs.FileType.File:
            return None
        with filesystem.open_input_stream(path) as stream:
            content: bytes = stream.read()
        return content

    def sizes(self, paths: list[str]) -> list[int | None]:
        """Return each file's size in bytes; None where it is missing. Paths are relative to the root."""
        filesystem, root = self.open_filesystem()
        found = filesystem.get_file_info([f"{root}/{path}" for path in paths])
        return [entry.size if entry.type == pafs.FileType.File else None for entry in found]

    def list_sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes in bytes of the files directly in a folder, by name; none where there is no folder."""
        filesystem, root = self.open_filesystem()
        found = filesystem.get_file_info(pafs.FileSelector(f"{root}/{folder}", allow_not_found=True))
        return {entry.base_name: entry.size for entry in found if entry.type == pafs.FileType.File}

    def remove(self, path: str) -> None:
        """Remove a file; one that has gone already is no error. The path is relative to the root."""
        filesystem, root = self.open_filesystem()
        with suppress(FileNotFoundError):
            filesystem.delete_file(f"{root}/{path}")

    @contextmanager
    def open_new(self, *parts: str) -> Iterator[IO[bytes] | Any]:
        """Open a file for writing that appears, whole and on the disk, when the block ends without an error.

        Raises:
            LibraryError: it can't be written, as on a full disk.
        """
        address = self.address(*parts)
        try:
            if self.is_local:
                with _open_renamed(Path(address)) as sink:
                    yield sink
            else:
                filesystem, root = self.open_filesystem()
                with filesystem.open_output_stream("/".join([root, *parts])) as sink:
                    yield sink
        except OSError as error:
            raise LibraryError(f"cannot write {address}: {error.strerror or error}") from error


def _is_addressable(path: str) -> bool:
    """Whether `deltalake` finds a local path again: it decodes %XX and refuses control characters."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return unquote(path) == path and not any(ord(char) < 32 or ord(char) == 127 for char in path)


@contextmanager
def _open_renamed(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with unfinished.open("xb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make a file's bytes survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make a folder's names survive a loss of power."""
    sync_file(path)


def first_line(error: BaseException) -> str:
    """Return what an error comes down to in one line; Delta's and Arrow's hold advice and dumps for programmers.

    Where it came from the operating system, that is the system's own message, such as that the disk is full.
    """
    from_system = _SYSTEM_ERROR.search(str(error))
    if from_system:
        return os.strerror(int(from_system[1]))
    line = str(error).partition("\n")[0].partition(" { ")[0]
    printable = "".join(char if char.isprintable() else "?" for char in line)
    return printable if len(printable) <= LONGEST_LINE else f"{printable[:LONGEST_LINE].rstrip()}…"
