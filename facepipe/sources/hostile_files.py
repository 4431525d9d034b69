"""Files that may be anything by now: opened without waiting, refused when they are too large."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facepipe.errors import ErrorCode, PhotoError


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
