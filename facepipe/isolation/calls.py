"""Calls into an isolated process: a photo that hangs, kills or bloats its decoder costs no other photo."""

import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facepipe.errors import ErrorCode, FacepipeError, PhotoError
from facepipe.isolation.child import Call

_START_SECONDS = 120.0
_NO_START = "the process that decodes photos does not start"
_STARTS = 3  # tries with a child that is killed before it is ready
_END_SECONDS = 2.0
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # the workers are as many as the cores, and buffers of threads eat address space
    "OPENBLAS_NUM_THREADS": "1",
    # glibc would give each photo's memory back and fetch it again, page by page, for the next: a third of the time.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # its greatest
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others reserve a gigabyte of addresses
}


@dataclass(frozen=True)
class Answer:
    """What came back for one request.

    Attributes:
        facts: what the function says; empty where it failed.
        size: bytes of its payload.
        error: why it failed.
    """

    facts: dict[str, Any]
    size: int = 0
    error: PhotoError | None = None


class IsolatedCalls:
    """A function in a child process with an address-space limit and a watchdog; a child that ends is replaced.

    The child is a fresh interpreter that imports the function's module alone. It starts at once and gets ready while
    this process does something else; it ends with this object, or with this process, however that ends.

    Args:
        function: called once in the child, found there by its name, with the settings; what it returns is called with
            the values of each request and returns facts, as JSON has them, and a payload (bytes or the like). It may
            raise PhotoError and MemoryError; anything else is a bug and raises in this process.
        settings: keyword arguments, as JSON has them.
        timeout_seconds: a request that has had no answer for so long is given up.
        max_memory: address space, in bytes, that the child may take beyond what it starts with.
    """

    def __init__(
        self, function: Callable[..., Call], settings: dict[str, Any], timeout_seconds: float, max_memory: int
    ) -> None:
        self._timeout_seconds = timeout_seconds
        setup = {
            "function": f"{function.__module__}:{function.__qualname__}",
            "settings": settings,
            "timeout_seconds": timeout_seconds,
            "max_memory": max_memory,
        }
        self._setup = json.dumps(setup)
        self._child: _Child | None = _Child(self._setup)

    def __call__(self, requests: Sequence[Sequence[Any]]) -> tuple[list[Answer], memoryview]:
        """Return an answer a request, in their order, and the payloads laid one after the other, read only.

        A request without an answer in time fails as `timeout`. One at which the child dies is asked once more, first of
        all in a fresh child; if that dies too, it fails as `internal`. The others are asked all the same.

        Args:
            requests: the values of each, as JSON has them.

        Raises:
            FacepipeError: the child can't be started.
        """
        answers: list[Answer] = []
        died_at = None
        payloads = os.memfd_create("payloads", os.MFD_CLOEXEC)
        try:
            while len(answers) < len(requests):
                os.lseek(payloads, _size(answers), os.SEEK_SET)  # over what a dead child wrote and never answered for
                try:
                    for answer in self._ask(requests[len(answers) :], payloads):
                        answers.append(answer)  # noqa: PERF402 - those before a death count
                except TimeoutError:
                    answers.append(self._timed_out())
                except _ChildDiedError as death:
                    if death.status == -signal.SIGALRM:
                        answers.append(self._timed_out())
                    elif died_at == len(answers):
                        message = f"the process that decodes photos {death}, twice"
                        answers.append(Answer({}, error=PhotoError(ErrorCode.INTERNAL, message)))
                    else:
                        died_at = len(answers)
            return answers, _mapped(payloads, _size(answers))
        finally:
            os.close(payloads)

    def _ask(self, requests: Sequence[Sequence[Any]], payloads: int) -> Iterator[Answer]:
        """Yield the child's answers; whatever goes wrong, the next call has a fresh one."""
        child = self._ready_child()
        try:
            yield from child.ask(requests, payloads, self._timeout_seconds)
        except ConnectionError as error:
            raise _ChildDiedError(child.end()) from error
        except BaseException:
            child.end()
            raise
        self._child = child

    def _ready_child(self) -> "_Child":
        """Return a child that answers; one that somebody kills while it starts is replaced, too."""
        for left in reversed(range(_STARTS)):
            child = self._child or _Child(self._setup)
            self._child = None
            try:
                child.wait_until_ready()
                break
            except _ChildDiedError as death:
                if not left or not death.by_signal:
                    raise FacepipeError(f"{_NO_START}: it {death}") from death
        return child

    def _timed_out(self) -> Answer:
        message = f"there was no answer within decode.timeout_seconds = {self._timeout_seconds:g}"
        return Answer({}, error=PhotoError(ErrorCode.TIMEOUT, message))


class _ChildDiedError(Exception):
    """The child is no more, and this is how it ended."""

    def __init__(self, status: int | None) -> None:
        super().__init__(_how(status))
        self.status = status

    @property
    def by_signal(self) -> bool:
        """Whether a signal ended it: a fresh one may do better."""
        return self.status is not None and self.status < 0


class _Child:
    """One child process and the channel to it (`isolation.child` says what goes over it)."""

    def __init__(self, setup: str) -> None:
        channel, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "facepipe.isolation.child", setup]
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": path}
        with theirs:  # a process group of its own: Ctrl-C is for the parent to act upon
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), env=environment, process_group=0)
        self._channel, self._lines = channel, channel.makefile("rb")
        self._ready = False
        self._finalizer = weakref.finalize(self, _end, self._process, channel)

    def ask(self, requests: Sequence[Sequence[Any]], payloads: int, timeout_seconds: float) -> Iterator[Answer]:
        """Yield the answers as they come; raise TimeoutError or ConnectionError when the next one doesn't."""
        self._channel.settimeout(timeout_seconds)
        socket.send_fds(self._channel, [b"\n"], [payloads])
        self._channel.sendall(json.dumps(list(map(list, requests))).encode() + b"\n")
        for _ in requests:
            answer = self._hear()
            if "code" in answer:
                yield Answer({}, error=PhotoError(ErrorCode(answer["code"]), answer["message"]))
            else:
                yield Answer(answer["facts"], answer["size"])

    def end(self) -> int | None:
        """End the process and return its exit status, None where it can't be ended."""
        self._lines.close()
        self._finalizer()
        return self._process.poll()

    def wait_until_ready(self) -> None:
        """Wait for its first word; raise _ChildDiedError when it ends without one."""
        if self._ready:
            return
        self._channel.settimeout(_START_SECONDS)
        try:
            self._hear()
        except ConnectionError as error:
            raise _ChildDiedError(self.end()) from error
        except TimeoutError as error:
            self.end()
            raise FacepipeError(f"{_NO_START}: it has said nothing for {_START_SECONDS:g} seconds") from error
        except BaseException:
            self.end()
            raise
        self._ready = True

    def _hear(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the child has ended")
        message: dict[str, Any] = json.loads(line)
        if "bug" in message:
            raise RuntimeError(f"in the isolated process:\n{message['bug']}")
        return message


def _end(process: "subprocess.Popen[bytes]", channel: socket.socket) -> None:
    channel.close()
    with suppress(subprocess.TimeoutExpired):  # inside the kernel, waiting for a dead mount, nothing can be ended
        if process.poll() is None:
            process.kill()
            process.wait(_END_SECONDS)


def _how(status: int | None) -> str:
    if status is None:
        return "can't be ended"
    if status >= 0:
        return f"ended with exit status {status}"
    return f"was ended by signal {-status} ({signal.Signals(-status).name})"


def _size(answers: Sequence[Answer]) -> int:
    return sum(answer.size for answer in answers)


def _mapped(file: int, size: int) -> memoryview:
    """Return a file's first bytes in memory, all pages at hand; they live as long as somebody looks at them."""
    if not size:
        return memoryview(b"")
    return memoryview(mmap.mmap(file, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ))
