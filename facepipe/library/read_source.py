"""The bytes of one photo, wherever it lies: a file, a member of a tar archive, a row of a Parquet file.

Nothing heavy is imported here: the process that decodes photos starts with this module.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facepipe.errors import ErrorCode, PhotoError
from facepipe.library.photo_names import is_parquet_name, is_tar_name
from facepipe.library.uris import split_uri, uri_to_path


def read_source(uri: str, max_bytes: int) -> bytes:
    """Return the bytes of the photo at an address.

    Files and members are refused by their size before anything of them is read. Archives' indexes and open Parquet
    files are kept, a few at a time, so that neighbours are found at once; call it from one thread.

    Args:
        uri: `file:///photos/a.jpg`, `file:///photos/x.tar#member`, `file:///photos/x.parquet#row`; of Parquet files
            also an address in an object store, as packed photos have.
        max_bytes: the most a photo may hold.

    Raises:
        PhotoError: it is gone (vanished), can't be read (unreadable), holds more than max_bytes (too_large), is a row
            without a photo (empty) or stored in a way that isn't read (unsupported).
        WrongUsageError: the address is none of these.
    """
    shard, entry = split_uri(uri)
    if entry is not None and is_parquet_name(shard):
        from facepipe.library.parquet_rows import read_row

        return read_row(shard, entry, max_bytes)
    path = uri_to_path(shard)
    if entry is not None and is_tar_name(path.name):
        from facepipe.library.tar_members import read_member

        return read_member(path, entry, max_bytes)
    with opened(path) as descriptor:
        check_size(os.fstat(descriptor).st_size, max_bytes)
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            data = file.readall()
    check_size(len(data), max_bytes)  # it may have grown since
    return data


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a regular file for reading, without waiting for anybody, and yield its descriptor.

    Raises:
        PhotoError: it is gone, is no regular file, or can't be opened or read, in the block too.
    """
    try:
        # A pipe that took a photo's place would be waited for without O_NONBLOCK; files don't know the flag.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PhotoError(ErrorCode.UNREADABLE, "this is not a file")
            yield descriptor
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise PhotoError(ErrorCode.VANISHED, "the file is no longer there") from error
    except OSError as error:
        raise PhotoError(ErrorCode.UNREADABLE, f"the file can't be read: {error.strerror or error}") from error


def check_size(size: int, max_bytes: int) -> None:
    """Raise PhotoError where a photo holds more bytes than allowed."""
    if size > max_bytes:
        raise PhotoError(ErrorCode.TOO_LARGE, f"the file is larger than decode.max_bytes ({max_bytes:,} bytes)")
