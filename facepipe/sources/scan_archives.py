"""What lies in archives of photos: members of tar files, rows of Parquet files. No photo's bytes are read."""

import os
from collections.abc import Iterator
from pathlib import Path

from facepipe.errors import ErrorCode, PhotoError
from facepipe.sources.hostile_files import opened
from facepipe.sources.listed_files import ListedFile, modified_at
from facepipe.sources.parquet_rows import open_parquet
from facepipe.sources.photo_names import is_photo_name, is_video_name
from facepipe.sources.tar_members import COMPRESSED_ADVICE, SPARSE_ADVICE, decoded, scan_tar
from facepipe.sources.uris import entry_uri, path_to_uri

# The name in the archive, and the row; None for what is to be said of the archive itself.
Entry = tuple[str | None, ListedFile]


def list_tar(path: Path) -> Iterator[Entry]:
    """Yield an archive's photos and films by name, in their order, then a row with a status where it is damaged.

    Hidden members are left out, as hidden files are. All have the archive's own time: writers of archives tend to give
    each member the same, whatever it holds.
    """
    uri = path_to_uri(path)
    try:
        with opened(path) as descriptor:
            status = os.fstat(descriptor)
            contents = scan_tar(descriptor, _is_listed)
    except PhotoError as error:
        yield None, ListedFile(uri, None, None, error.code.value, str(error))
        return
    at = modified_at(status)
    for name, member in contents.members.items():
        failure = (ErrorCode.UNSUPPORTED.value, SPARSE_ADVICE) if member.sparse else ("", "")
        yield path_inside(name), ListedFile(entry_uri(uri, name), member.size, at, *failure)
    if contents.damage is not None:
        yield None, ListedFile(uri, status.st_size, at, contents.damage.code.value, str(contents.damage))


def list_parquet(path: Path) -> Iterator[Entry]:
    """Yield a Parquet file's rows, of unknown size, or a row with a status where it is none of photos."""
    uri = path_to_uri(path)
    try:
        with opened(path) as descriptor:
            status = os.fstat(descriptor)
    except PhotoError as error:
        yield None, ListedFile(uri, None, None, error.code.value, str(error))
        return
    at = modified_at(status)
    try:
        rows = open_parquet(path).num_rows
    except PhotoError as error:
        yield None, ListedFile(uri, status.st_size, at, error.code.value, str(error))
        return
    for row in range(rows):
        yield str(row), ListedFile(f"{uri}#{row}", None, at)


def list_compressed(path: Path, status: os.stat_result) -> ListedFile:
    """Return the row that says what to do with a compressed archive."""
    code = ErrorCode.UNSUPPORTED.value
    return ListedFile(path_to_uri(path), status.st_size, modified_at(status), code, COMPRESSED_ADVICE)


def path_inside(name: bytes) -> str:
    """Return a member's or row's place in its archive as `Selection` takes it: without `./` and leading slashes."""
    return "/".join(_segments(decoded(name)))


def _is_listed(name: bytes) -> bool:
    text = decoded(name)
    hidden = any(segment.startswith(".") and segment != ".." for segment in _segments(text))
    return not hidden and (is_photo_name(text) or is_video_name(text))


def _segments(name: str) -> list[str]:
    return [segment for segment in name.split("/") if segment not in {"", "."}]
