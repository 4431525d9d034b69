"""What runs in the isolated process: requests come in, answers go out, until the other end of the channel closes.

The channel is a Unix socket on standard input. A batch of requests is a line of JSON after one byte that carries the
file for the batch's payloads; each answer is a line of JSON, sent as soon as it is known.
"""

import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from facepipe.errors import ErrorCode, PhotoError

Payload = bytes | memoryview
Call = Callable[..., tuple[dict[str, Any], Payload]]

_GRACE_SECONDS = 1.0  # the parent's watchdog comes first, while there is a parent
_MESSAGE_CHARACTERS = 500  # some decoders quote the file


def main() -> None:
    """Open the function that the command line names, say so, and answer until nobody asks any more."""
    channel = socket.socket(fileno=0)
    try:
        _serve(channel, **json.loads(sys.argv[1]))
    except (BrokenPipeError, ConnectionResetError):  # the parent has gone
        return
    except Exception:  # noqa: BLE001 - whatever it is, the parent raises it
        _say(channel, {"bug": traceback.format_exc()})


def _serve(
    channel: socket.socket, function: str, settings: dict[str, Any], timeout_seconds: float, max_memory: int
) -> None:
    module, _, name = function.partition(":")
    call: Call = getattr(import_module(module), name)(**settings)
    most = _address_space() + max_memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)  # decoders grumble about every odd file; what matters is in the answers
    _say(channel, {"ready": True})
    lines = channel.makefile("rb")
    while True:
        mark, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not mark:
            return
        with os.fdopen(descriptors[0], "wb", buffering=0) as payloads:
            for request in json.loads(lines.readline()):
                with _ending_after(timeout_seconds + _GRACE_SECONDS):
                    answer = _answer(call, request, payloads)
                _say(channel, answer)
        if _address_space() > most - max_memory // 2:
            return  # what decoders leak would count against every later photo: the parent starts a fresh process


def _answer(call: Call, request: list[Any], payloads: BinaryIO) -> dict[str, Any]:
    try:
        facts, payload = call(*request)
        left = memoryview(payload).cast("B")
        size = len(left)
        while left:
            left = left[payloads.write(left) :]
    except PhotoError as error:
        return _failed(error.code, str(error))
    except MemoryError:
        return _failed(ErrorCode.TOO_LARGE, "the photo needs more memory than decode.max_memory allows")
    return {"facts": facts, "size": size}


def _failed(code: ErrorCode, message: str) -> dict[str, Any]:
    printable = message.encode(errors="replace").decode()[:_MESSAGE_CHARACTERS]
    return {"code": code.value, "message": printable}


def _say(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def _address_space() -> int:
    """Return how many bytes of addresses this process has taken (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


@contextmanager
def _ending_after(seconds: float) -> Iterator[None]:
    """Let the kernel end this process when the block takes longer: it may have hung after its parent has died."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
