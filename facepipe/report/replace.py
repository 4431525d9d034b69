"""A folder of pages replaced as a whole, so that an interrupted report leaves the old one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facepipe.errors import FacepipeError, WrongUsageError

MARKER = '<meta name="generator" content="facepipe">'  # every page's head has it: the sign that a folder is ours


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder` that takes its place when the block ends without an exception.

    Two renames make the exchange: a process killed between them leaves the old folder under its hidden name, and the
    next call brings it back before it starts. One writer at a time; the library's lock sees to that.

    Args:
        folder: need not exist; may be a link to a folder, which stays a link.

    Raises:
        WrongUsageError: `folder` holds something else than a report.
        FacepipeError: a file could not be written.
    """
    target = folder.resolve()
    building = target.with_name(f".{target.name}.new")
    retired = target.with_name(f".{target.name}.old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if retired.exists() and not target.exists():
            retired.rename(target)
        _refuse_foreign(target)
        for leftover in (building, retired):
            if leftover.exists():
                shutil.rmtree(leftover)
        building.mkdir()
        try:
            yield building
            _exchange(target, building, retired)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise FacepipeError(
            f"cannot write the report {folder}: {error.strerror or error}; the former report, if any, is as it was"
        ) from error


def _exchange(target: Path, building: Path, retired: Path) -> None:
    if target.exists():
        target.rename(retired)
    try:
        building.rename(target)
    except OSError:
        if retired.exists():
            retired.rename(target)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def _refuse_foreign(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise WrongUsageError(f"the report needs a folder, but {target} is a file; name another place")
    if not any(target.iterdir()):
        return
    index = target / "index.html"
    if not (index.is_file() and MARKER in index.read_text(encoding="utf-8", errors="replace")[:4096]):
        raise WrongUsageError(
            f"{target} holds files that are not a report, and a report replaces its whole folder; name a new folder"
        )
