"""A function for the isolated process that does whatever a decoder may do to it."""

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facepipe.errors import ErrorCode, PhotoError
from facepipe.isolation.child import Call, Payload


def open_faults(folder: str) -> Call:
    def act(fault: str, value: int = 0) -> tuple[dict[str, Any], Payload]:
        if fault != "none":
            _FAULTS[fault](Path(folder), value)
        core, _ = resource.getrlimit(resource.RLIMIT_CORE)
        return {"value": value, "process": os.getpid(), "core": core}, bytes([value % 256]) * value

    return act


def _die_once(folder: Path, value: int) -> None:
    if not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _hang(folder: Path, value: int) -> None:
    (folder / "hanging").write_text(str(os.getpid()))
    time.sleep(600)


def _refuse(folder: Path, value: int) -> None:
    raise PhotoError(ErrorCode.TRUNCATED, f"cut short \udcff{'.' * value}")


def _stumble(folder: Path, value: int) -> None:
    raise ValueError("nobody thought of this")


_leaked: list[bytearray] = []
_FAULTS: dict[str, Callable[[Path, int], object]] = {
    "die": lambda _, value: os.kill(os.getpid(), value),
    "die once": _die_once,
    "exit": lambda _, value: os._exit(value),
    "hang": _hang,
    "bloat": lambda _, value: bytearray(value),
    "leak": lambda _, value: _leaked.append(bytearray(value)),
    "refuse": _refuse,
    "bug": _stumble,
}


def open_dying(folder: str, times: int) -> Call:
    """Be killed so many times before getting ready."""
    deaths = Path(folder) / "deaths"
    died = len(deaths.read_text()) if deaths.exists() else 0
    if died < times:
        deaths.write_text("x" * (died + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return open_faults(folder)


def open_badly() -> Call:
    raise ImportError("this decoder is not installed")
