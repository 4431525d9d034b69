"""What lies in the sources: every photo once, in a fixed order, with its size and time."""

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from facepipe.errors import WrongUsageError
from facepipe.sources.listed_files import ListedFile, failed, listed, listed_table
from facepipe.sources.photo_names import (
    is_compressed_tar_name,
    is_parquet_name,
    is_photo_name,
    is_tar_name,
    is_video_name,
)
from facepipe.sources.scan_archives import Entry, list_compressed, list_parquet, list_tar
from facepipe.sources.selection import EVERYTHING, Selection
from facepipe.sources.uris import uri_to_path

Inode = tuple[int, int]


class _Place(NamedTuple):
    """A file or folder, and its path below the source with slashes between, empty for the source itself."""

    path: Path
    below: str

    def inside(self, name: str) -> "_Place":
        return _Place(self.path / name, f"{self.below}/{name}" if self.below else name)


def list_sources(sources: Sequence[str | Path]) -> pa.Table:
    """Return what `scan_sources` finds as a table of `LISTED_FILE` rows."""
    return listed_table(scan_sources(sources))


def list_files(paths: Sequence[Path]) -> pa.Table:
    """Return a row of `LISTED_FILE` for each of some files, in their order; links are not resolved."""
    return listed_table(_list_file(Path(os.path.abspath(path))) for path in paths)  # noqa: PTH100 - resolve() follows links


def scan_sources(
    sources: Sequence[str | Path], library: str | Path | None = None, selection: Selection = EVERYTHING
) -> "SourceScan":
    """Return a scan over the photos in folders (recursively, by extension), in archives and in single files.

    Hidden files and folders, folders that hold `.nomedia` and libraries are skipped at every level; a source itself may
    have a hidden name. Folders come in the order of the sources, their own files before their subfolders, by the bytes
    of their names. Tar files (without compression) are searched for members, rows of Parquet files are photos; an
    archive that can't be read, or not to its end, becomes a row with a status beside those of the photos found in it.
    Films are counted and skipped. Single files are photos whatever their name, unless it is that of an archive or film.

    Links come last and are followed once: what was listed already, under its own name or through another link, is not
    listed again. A broken link or a folder that can't be read becomes a row with a status.

    Args:
        sources: local folders and files, as paths or `file://` URIs.
        library: skipped where it lies inside a source.
        selection: which files are taken and which folders are entered.

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
    return SourceScan(roots, library_path, selection)


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


class SourceScan:
    """One walk over all sources, for one iteration: real folders first, so that a link never hides what it points at.

    Attributes:
        videos_skipped: films seen so far.
    """

    def __init__(self, roots: Sequence[Path], library: Path | None, selection: Selection) -> None:
        self.videos_skipped = 0
        self._roots = roots
        self._library = _inode(library) if library is not None and library.exists() else None
        self._selection = selection
        self._walked: set[Inode] = set()
        self._skipped: set[Inode] = set()  # folders that hold .nomedia
        self._singles: set[Path] = set()  # files listed through a link or as a source
        self._links: deque[_Place] = deque()

    def __iter__(self) -> Iterator[ListedFile]:
        for root in self._roots:
            if root.is_dir():
                yield from self._walk_folder(_Place(root, ""))
        for root in self._roots:
            if not root.is_dir():
                yield from self._list_single(_Place(root, root.name))
        while self._links:
            yield from self._follow(self._links.popleft())

    def _walk_folder(self, top: _Place) -> Iterator[ListedFile]:
        stack = [top]
        while stack:
            folder = stack.pop()
            try:
                entries = self._visible_entries(folder.path)
            except OSError as error:
                yield failed(folder.path, error)
                continue
            subfolders = []
            for entry in entries:
                place = folder.inside(entry.name)
                if not self._selection.enters(place.below):
                    continue
                if entry.is_symlink():
                    self._links.append(place)
                elif entry.is_dir(follow_symlinks=False):
                    subfolders.append(place)
                elif _is_taken(entry.name):
                    yield from self._list_entry(entry, place)
            stack.extend(reversed(subfolders))

    def _visible_entries(self, folder: Path) -> "list[os.DirEntry[str]]":
        """Return what is to be looked at in a folder: nothing the second time, nothing where it is to be skipped."""
        identity = _inode(folder)
        if identity in self._walked or identity in self._skipped or identity == self._library:
            return []
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
        names = {entry.name for entry in entries}
        if ".nomedia" in names or names >= {"library.json", "tables"}:
            self._skipped.add(identity)
            return []
        self._walked.add(identity)
        return [entry for entry in entries if not entry.name.startswith(".")]

    def _follow(self, link: _Place) -> Iterator[ListedFile]:
        try:
            mode = link.path.stat().st_mode
        except OSError as error:
            # A broken link to notes is nobody's loss; one without an extension may have been a folder of photos.
            if not is_video_name(link.path.name) and (_is_taken(link.path.name) or not link.path.suffix):
                yield failed(link.path, error)
            return
        if stat.S_ISDIR(mode):
            yield from self._walk_folder(link)
        elif stat.S_ISREG(mode) and _is_taken(link.path.name):
            yield from self._list_single(link)

    def _list_single(self, place: _Place) -> Iterator[ListedFile]:
        """List a file unless the walk through its real folder has listed it, or another link or source."""
        real = Path(os.path.realpath(place.path))
        try:
            status = real.stat()
            folder = _inode(real.parent)
        except OSError as error:
            yield failed(place.path, error)
            return
        walked = folder in self._walked and _is_taken(real.name) and not real.name.startswith(".")
        if not walked and real not in self._singles:
            self._singles.add(real)
            yield from self._list(place, status)

    def _list_entry(self, entry: "os.DirEntry[str]", place: _Place) -> Iterator[ListedFile]:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            yield failed(place.path, error)
            return
        if stat.S_ISREG(status.st_mode):  # a pipe or socket named .jpg would block whoever reads it
            yield from self._list(place, status)

    def _list(self, place: _Place, status: os.stat_result) -> Iterator[ListedFile]:
        name = place.path.name
        if is_tar_name(name):
            yield from self._list_entries(list_tar(place.path), place.below)
        elif is_parquet_name(name):
            yield from self._list_entries(list_parquet(place.path), place.below)
        elif not self._selection.takes(place.below):
            return
        elif is_video_name(name):
            self.videos_skipped += 1
        elif is_compressed_tar_name(name):
            yield list_compressed(place.path, status)
        else:
            yield listed(place.path, status)

    def _list_entries(self, entries: Iterable[Entry], below: str) -> Iterator[ListedFile]:
        for name, file in entries:
            if name is not None and not self._selection.takes(f"{below}/{name}"):
                continue
            if name is not None and is_video_name(name):
                self.videos_skipped += 1
            else:
                yield file


def _is_taken(name: str) -> bool:
    """Return whether folders are searched for files of such a name."""
    return any(
        is_kind(name)
        for is_kind in (is_photo_name, is_video_name, is_tar_name, is_compressed_tar_name, is_parquet_name)
    )


def _list_file(path: Path) -> ListedFile:
    try:
        return listed(path, path.stat())
    except OSError as error:
        return failed(path, error)


def _inode(path: Path) -> Inode:
    status = path.stat()
    return status.st_dev, status.st_ino


def _printable(path: Path) -> str:
    return str(path) if str(path).isprintable() else repr(str(path))
