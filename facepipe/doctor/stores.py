"""Weights and libraries: whether they are there, whole, and can be written."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from facepipe.config import Config
from facepipe.doctor.finding import GIB, Finding, gib, judge
from facepipe.errors import FacepipeError
from facepipe.library import lock
from facepipe.library.library import Library
from facepipe.models.cache import find_status, home, known_names, weights_path

LEAST_FREE = 1 * GIB


def examine_weights(config: Config) -> Iterator[Finding]:
    """Yield whether the weights that the settings ask for are there and unchanged; each file is hashed."""
    for name in (config.detect.weights, config.embed.weights):
        if name in known_names():
            status = find_status(name)
            advice = f"run `facepipe models pull {name}`, or `models import` where it can't be pulled"
            yield judge(
                "weights", f"{name}: {status} ({weights_path(name)})", "ok" if status == "ready" else "fail", advice
            )
        else:
            advice = "`facepipe models list` shows those that there are"
            yield Finding("weights", "fail", f"there is no model {name!r}", advice)
    folder = home()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    writable = os.access(there, os.W_OK | os.X_OK)
    found = f"{folder} can{'' if writable else 'not'} be written"
    yield judge("home", found, "ok" if writable else "warn", "set FACEPIPE_HOME to a folder that can be written")


def examine_library(location: str) -> Iterator[Finding]:
    """Yield whether a library can be opened and, where it is local, locked and written."""
    try:
        library = Library.open(location)
        runs = len(library.read("runs", ["run_id"]))
    except FacepipeError as error:
        yield Finding("library", "fail", str(error), "`facepipe check` says more about a library that opens")
        return
    yield Finding("library", "ok", f"{library.location}, {runs:,} finished runs")
    if library.storage.is_local:
        yield _lock(Path(library.location))
        yield _disk(Path(library.location))


def _lock(folder: Path) -> Finding:
    try:
        with lock.hold_lock(folder, "doctor"), tempfile.TemporaryFile(dir=folder):
            return Finding("library lock", "ok", "it can be locked and written")
    except FacepipeError as error:
        busy = isinstance(error.__cause__, BlockingIOError)
        advice = "wait until it has ended" if busy else "make it writable, on a file system that supports flock"
        return Finding("library lock", "warn" if busy else "fail", str(error), advice)
    except OSError as error:
        return Finding("library lock", "fail", f"cannot write to {folder}: {error.strerror}", "make it writable")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    return judge(
        "library disk",
        f"{gib(free)} free",
        "ok" if free >= LEAST_FREE else "warn",
        "make room: a face takes about 10 KB",
    )
