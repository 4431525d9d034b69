"""Ray, started on this machine or joined where it runs, without a word on our standard output."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facepipe.errors import FacepipeError
from facepipe.runtime.interruption import kept_handlers
from facepipe.runtime.machine import usable_cpus

CONNECT_SECONDS = 10


@contextmanager
def started_ray(address: str | None, spare_cpus: int) -> Iterator[Any]:
    """Yield the module `ray`, `ray.data` imported with it, once this process belongs to a cluster.

    A process has one Ray: a block within another shares the outer one's, which ends with that.

    Args:
        address: of a running cluster ("auto" finds the one around a submitted job); None starts Ray here.
        spare_cpus: logical CPUs, more than there are, of a Ray started here: actors hold the real ones, Ray's own
            tasks run beside them.

    Raises:
        FacepipeError: no cluster answers.
    """
    # Ray prints what its nodes report to the standard output, which is ours; read when Ray is imported.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")
    import ray
    import ray.data

    if ray.is_initialized():
        yield ray
        return
    _join(ray, address, spare_cpus)
    try:
        yield ray
    finally:
        ray.shutdown()


def _join(ray: Any, address: str | None, spare_cpus: int) -> None:
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its warnings are about itself, not about photos
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a cluster of this process alone, on loopback
        with _without_stderr(), kept_handlers():
            ray.init(address="local", num_cpus=usable_cpus() + spare_cpus, include_dashboard=False, **quiet)
        return
    unanswered = f"no Ray cluster answers at {address!r}: start one or leave --address out"
    if not _listens(address):
        raise FacepipeError(unanswered)
    try:
        with kept_handlers():
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise FacepipeError(unanswered) from error


def _listens(address: str) -> bool:
    """Return whether somebody listens at HOST:PORT, for which Ray itself would try for many minutes.

    Other forms, such as "auto", are left to Ray.
    """
    host, colon, port = address.rpartition(":")
    if "://" in address or not (colon and port.isdecimal()):
        return True
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS):
            return True
    except (OSError, OverflowError):
        return False


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Drop what is written to the process's stderr: Ray's C++ core announces its log settings there."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
