"""Ctrl-C and SIGTERM: a run ends at once, and what is done is committed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from facepipe.errors import InterruptedRunError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Let SIGTERM act as Ctrl-C while the block runs, and make of both an error that says what to do."""
    with _handling(signal.SIGTERM, signal.default_int_handler):
        try:
            yield
        except KeyboardInterrupt as error:
            raise InterruptedRunError(
                "stopped on request: what was done is committed, and the same command goes on from there"
            ) from error


@contextmanager
def held_back() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back while the block runs, a commit, and deliver them when it has ended."""
    arrived: list[int] = []

    def remember(signum: int, _: FrameType | None) -> None:
        arrived.append(signum)

    with _handling(signal.SIGINT, remember), _handling(signal.SIGTERM, remember):
        yield
    if arrived:
        raise KeyboardInterrupt


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Put the handlers back when the block ends: libraries that start in it install their own."""
    with _handling(signal.SIGINT, None), _handling(signal.SIGTERM, None):
        yield


@contextmanager
def _handling(signum: int, handler: "signal._HANDLER") -> Iterator[None]:
    """Install a handler (None: leave the present one) and put the former one back; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.getsignal(signum)
    if handler is not None:
        signal.signal(signum, handler)
    try:
        yield
    finally:
        signal.signal(signum, former)
