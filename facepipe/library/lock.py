"""One writer at a time on a local library."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facepipe.errors import LibraryError

NAME = "writer.lock"

_held: set[int] = set()


@contextmanager
def hold_lock(folder: Path, command: str) -> Iterator[None]:
    """Hold `flock` on the library's lock file; the kernel lets go of it however the process ends.

    Args:
        folder: the library.
        command: said to whoever finds the library locked.

    Raises:
        LibraryError: another run holds it.
    """
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise LibraryError(f"cannot write to the library {folder}: {error.strerror}") from error
    _held.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LibraryError(
                f"{_describe_holder(descriptor)} is working on the library {folder}: wait until it has ended"
            ) from error
        except OSError as error:
            raise LibraryError(
                f"cannot lock the library {folder}: {error.strerror}; its file system must support flock"
            ) from error
        with suppress(OSError):  # a full disk: the lock holds all the same, whoever waits merely reads no name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"command": command, "process": os.getpid()}).encode(), 0)
        yield
    finally:
        if descriptor in _held:  # not so in a forked child, which has closed its copy already
            _held.discard(descriptor)
            os.close(descriptor)


def _describe_holder(descriptor: int) -> str:
    with suppress(ValueError, KeyError, OSError):
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"another run ({holder['command']}, process {holder['process']})"
    return "another run"


def _close_in_child() -> None:
    """A forked child would keep the lock beyond its parent's death: it gives up its copy of the descriptor."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)
