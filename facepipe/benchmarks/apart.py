"""Work in a process of its own, whose memory is that work's alone."""

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from facepipe.errors import FacepipeError

Outcome = TypeVar("Outcome")


def run_apart(work: Callable[..., Outcome], *arguments: object) -> tuple[Outcome, int]:
    """Return what work returns, and the most memory, in bytes, that its process had: all of it resident at once.

    Args:
        work: a function of a module; it, its arguments and what it returns can be pickled.
        arguments: what it is called with.

    Raises:
        FacepipeError: it failed, or its process died.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(work, arguments, theirs))
    process.start()
    theirs.close()
    try:
        outcome, memory = ours.recv()
    except EOFError as error:
        raise FacepipeError("its process ended before the work was done: was it killed for memory?") from error
    finally:
        process.join()
        ours.close()
    if isinstance(outcome, FacepipeError):
        raise outcome
    return outcome, memory


def peak_memory() -> int:
    """Return the most bytes of memory that this process has had resident since its program was started (Linux)."""
    # Not from getrusage: that carries over from the process that this one was forked from.
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024


def _work(work: Callable[..., object], arguments: tuple[object, ...], pipe: Connection) -> None:
    try:
        outcome = work(*arguments)
    except Exception as error:  # it crosses to the parent's process as a sentence  # noqa: BLE001
        outcome = as_sentence(error, "it")
    pipe.send((outcome, peak_memory()))


def as_sentence(error: Exception, who: str) -> FacepipeError:
    """Return an error as what a user can be told; the details of one that nobody expected go to stderr."""
    if isinstance(error, FacepipeError):
        return error
    if isinstance(error, MemoryError):
        return FacepipeError(f"{who} takes more memory than there is")
    traceback.print_exception(error)
    return FacepipeError(f"{who} failed: {type(error).__name__}: {error}")
