"""What lies in the sources: every photo file once, in a fixed order, with its size and time."""

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from facepipe.errors import ErrorCode, WrongUsageError
from facepipe.library.uris import path_to_uri, uri_to_path
from facepipe.schemas import LISTED_FILE

READABLE = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff"})
# Photos all the same: listed, so that they show up as `unsupported` instead of being passed over in silence.
NOT_YET_READABLE = frozenset({".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2"})
EXTENSIONS = READABLE | NOT_YET_READABLE
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)
_ROWS_AT_ONCE = 65_536

Inode = tuple[int, int]


class ListedFile(NamedTuple):
    """A place where a photo lies, or a place that could not be looked into.

    Attributes:
        uri: `file://`, percent-encoded.
        bytes: size; None where the listing failed.
        modified_at: UTC, whole microseconds; None where the listing failed.
        status: empty, or an `ErrorCode`.
        message: what went wrong, for people.
    """

    uri: str
    bytes: int | None
    modified_at: datetime | None
    status: str = ""
    message: str = ""


def list_sources(sources: Sequence[str | Path], library: str | Path | None = None) -> pa.Table:
    """Return what `scan_sources` yields as a table of `LISTED_FILE` rows."""
    return listed_table(scan_sources(sources, library))


def list_files(paths: Sequence[Path]) -> pa.Table:
    """Return a row of `LISTED_FILE` for each of some files, in their order; links are not resolved."""
    return listed_table(_list_file(Path(os.path.abspath(path))) for path in paths)  # noqa: PTH100 - resolve() follows links


def listed_table(files: Iterable[ListedFile]) -> pa.Table:
    """Return listed files as rows of `LISTED_FILE`, in their order."""
    remaining, batches = iter(files), []
    while rows := list(islice(remaining, _ROWS_AT_ONCE)):
        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, LISTED_FILE, strict=True)]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=LISTED_FILE))
    return pa.Table.from_batches(batches, schema=LISTED_FILE)


def scan_sources(sources: Sequence[str | Path], library: str | Path | None = None) -> Iterator[ListedFile]:
    """Return an iterator over the photos in folders (recursively, by extension) and over single files (of any name).

    Hidden files and folders and folders that hold `.nomedia` are skipped at every level; a source itself may have a
    hidden name. Folders come in the order of the sources, their own files before their subfolders, by the bytes of
    their names. Links come last and are followed once: what was listed already, under its own name or through another
    link, is not listed again. A broken link or a folder that can't be read becomes a row with a status.

    Args:
        sources: local folders and files, as paths or `file://` URIs.
        library: skipped where it lies inside a source.

    Raises:
        WrongUsageError: a source is missing, is no local file or folder, or lies in the library. Raised at once.
    """
    roots = resolve_sources(sources)
    library_path = None if library is None or "://" in str(library) else Path(os.path.realpath(library))
    for root in roots:
        if library_path is not None and root.is_relative_to(library_path):
            raise WrongUsageError(
                f"the source {_printable(root)} lies in the library {library_path}: name the photos' own folder"
            )
    return _Scan(library_path).walk(roots)


def resolve_sources(sources: Sequence[str | Path]) -> list[Path]:
    """Return the real absolute paths of sources, so that every way of writing one gives the same URIs.

    Raises:
        WrongUsageError: a source is missing or is no local file or folder.
    """
    roots = []
    for source in sources:
        if str(source).startswith("file://"):
            path = uri_to_path(str(source))
        elif "://" in str(source):
            raise WrongUsageError(f"{source} is not on this machine: sources are local folders and files")
        else:
            path = Path(source)
        root = Path(os.path.realpath(path))
        try:
            mode = root.stat().st_mode
        except OSError as error:
            raise WrongUsageError(f"the source {_printable(path)} can't be read: {error.strerror}") from error
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise WrongUsageError(f"the source {_printable(path)} is neither a folder nor a file")
        roots.append(root)
    return roots


class _Scan:
    """One walk over all sources: real folders first, so that a link never hides what it points at."""

    def __init__(self, library: Path | None) -> None:
        self._library = _inode(library) if library is not None and library.exists() else None
        self._walked: set[Inode] = set()
        self._skipped: set[Inode] = set()  # folders that hold .nomedia
        self._singles: set[Path] = set()  # files listed through a link or as a source
        self._links: deque[Path] = deque()

    def walk(self, roots: Sequence[Path]) -> Iterator[ListedFile]:
        for root in roots:
            if root.is_dir():
                yield from self._walk_folder(root)
        for root in roots:
            if not root.is_dir():
                yield from self._list_single(root)
        while self._links:
            yield from self._follow(self._links.popleft())

    def _walk_folder(self, top: Path) -> Iterator[ListedFile]:
        stack = [top]
        while stack:
            folder = stack.pop()
            try:
                identity = _inode(folder)
                if identity in self._walked or identity in self._skipped or identity == self._library:
                    continue
                with os.scandir(folder) as found:
                    entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
            except OSError as error:
                yield _failed(folder, error)
                continue
            if any(entry.name == ".nomedia" for entry in entries):
                self._skipped.add(identity)
                continue
            self._walked.add(identity)
            subfolders = []
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink():
                    self._links.append(Path(entry.path))
                elif entry.is_dir(follow_symlinks=False):
                    subfolders.append(Path(entry.path))
                elif is_photo_name(entry.name):
                    yield from _list_entry(entry)
            stack.extend(reversed(subfolders))

    def _follow(self, link: Path) -> Iterator[ListedFile]:
        try:
            mode = link.stat().st_mode
        except OSError as error:
            # A broken link to notes is nobody's loss; one without an extension may have been a folder of photos.
            if is_photo_name(link.name) or not link.suffix:
                yield _failed(link, error)
            return
        if stat.S_ISDIR(mode):
            yield from self._walk_folder(link)
        elif stat.S_ISREG(mode) and is_photo_name(link.name):
            yield from self._list_single(link)

    def _list_single(self, path: Path) -> Iterator[ListedFile]:
        """List a file unless the walk through its real folder has listed it, or another link or source."""
        real = Path(os.path.realpath(path))
        try:
            status = real.stat()
            folder = _inode(real.parent)
        except OSError as error:
            yield _failed(path, error)
            return
        walked = folder in self._walked and is_photo_name(real.name) and not real.name.startswith(".")
        if not walked and real not in self._singles:
            self._singles.add(real)
            yield _listed(path, status)


def is_photo_name(name: str) -> bool:
    """Return whether a folder is searched for files of such a name."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122 - a Path for each of many files is slow


def _list_file(path: Path) -> ListedFile:
    try:
        return _listed(path, path.stat())
    except OSError as error:
        return _failed(path, error)


def _list_entry(entry: "os.DirEntry[str]") -> Iterator[ListedFile]:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        yield _failed(Path(entry.path), error)
        return
    if stat.S_ISREG(status.st_mode):  # a pipe or socket named .jpg would block whoever reads it
        yield _listed(entry.path, status)


def _listed(path: str | Path, status: os.stat_result) -> ListedFile:
    try:
        modified_at = min(_EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000), _LATEST)
    except OverflowError:  # a file system's nonsense, beyond the calendar
        modified_at = _LATEST
    return ListedFile(path_to_uri(path), status.st_size, modified_at)


def _failed(path: Path, error: OSError) -> ListedFile:
    code = ErrorCode.VANISHED if isinstance(error, FileNotFoundError) else ErrorCode.UNREADABLE
    reason = "the link points at nothing" if code is ErrorCode.VANISHED and path.is_symlink() else error.strerror
    return ListedFile(path_to_uri(path), None, None, code.value, reason or str(error))


def _inode(path: Path) -> Inode:
    status = path.stat()
    return status.st_dev, status.st_ino


def _printable(path: Path) -> str:
    return str(path) if str(path).isprintable() else repr(str(path))
