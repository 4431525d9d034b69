"""The real program, run as people run it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 3600  # seconds; the tests' own limits are shorter
PROGRAM = [sys.executable, "-m", "facepipe.cli.main"]


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.out)
        return result


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "RAY_DISABLE_DOCKER_CPU_WARNING": "1", **extra}


def facepipe(*arguments: str | Path, cwd: Path | None = None, **extra: str) -> Outcome:
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment(**extra),
        timeout=PATIENCE,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def job(name: str, *arguments: str | Path) -> Outcome:
    """Run `jobs/NAME.py` as a cluster does."""
    script = Path(__file__).parent.parent / "jobs" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=PATIENCE,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start the program in a process group of its own."""
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )


def killed_once(command: Sequence[str | Path], folder: Path, moment: str) -> None:
    """Run the program and kill it as soon as a file that a pattern names is in a folder."""
    process = subprocess.Popen([*PROGRAM, *map(str, command)], env=environment(), stderr=subprocess.DEVNULL)
    try:
        while not any(folder.glob(moment)) and process.poll() is None:
            time.sleep(0.05)
        assert process.poll() is None, "it ended before it could be killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
