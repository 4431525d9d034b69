"""Laid on PYTHONPATH by a test: JPEGs do to the process that decodes them what their comments say.

`extract: kill 9` ends the process that extracts by that signal, `extract: hang 60` keeps it busy for so many seconds,
`ingest: remove PATH` takes another photo away from the one that ingests, `pipe PATH` puts a pipe in its place.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path


def put_pipe(path: str) -> None:
    Path(path).unlink()
    os.mkfifo(path)


ACTIONS: dict[str, Callable[[str], None]] = {
    "kill": lambda number: os.kill(os.getpid(), int(number)),
    "hang": lambda seconds: time.sleep(float(seconds)),
    "remove": lambda path: Path(path).unlink(),
    "pipe": put_pipe,
}

if "facepipe.isolation.child" in sys.orig_argv:
    from PIL.JpegImagePlugin import JpegImageFile

    step = "extract" if "open_decoder" in sys.orig_argv[-1] else "ingest"
    open_soundly = JpegImageFile._open

    def open_sabotaged(self: JpegImageFile) -> None:
        open_soundly(self)
        comment = self.info.get("comment", b"").decode(errors="replace")
        when, _, action = comment.partition(": ")
        name, _, value = action.partition(" ")
        if when == step and name in ACTIONS:
            ACTIONS[name](value)

    JpegImageFile._open = open_sabotaged  # type: ignore[method-assign]
