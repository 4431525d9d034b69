"""Pictures of figures, drawn by matplotlib where it is installed: `--plot`, checked before any work."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facepipe.cli.options import NEW_FILE
from facepipe.errors import FacepipeError, WrongUsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Command = Callable[..., Any]

FORMATS = (".png", ".svg")


def plot_option(says: str) -> Callable[[Command], Command]:
    """Return what adds `--plot` to a command, described so; the command gets a path that can be drawn into, or None."""
    return click.option("--plot", type=NEW_FILE, metavar="FILE", callback=_checked, help=f"{says}, as .png or .svg.")


def _checked(_context: click.Context, _option: click.Parameter, file: Path | None) -> Path | None:
    """Return the file.

    Raises:
        WrongUsageError: matplotlib is missing, the format is unknown, or the folder isn't there.
    """
    if file is None:
        return None
    if importlib.util.find_spec("matplotlib") is None:
        raise WrongUsageError(
            "--plot needs matplotlib, which is not installed here: `pip install -c constraints.txt matplotlib`"
        )
    if file.suffix not in FORMATS:
        raise WrongUsageError(f"--plot draws {' and '.join(FORMATS)} files, not {file.name!r}")
    if not file.absolute().parent.is_dir():
        raise WrongUsageError(f"the folder of {file} isn't there: make it first")
    return file


def new_picture(width: float, height: float) -> "Figure":
    """Return an empty picture of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_picture(picture: "Figure", file: Path) -> None:
    """Write a picture as .png or .svg; of the same figures, the same file.

    Raises:
        FacepipeError: the file can't be written.
    """
    import matplotlib as mpl

    try:
        with mpl.rc_context({"svg.hashsalt": "facepipe", "svg.fonttype": "none"}):
            picture.savefig(file, dpi=110, metadata={"Date": None} if file.suffix == ".svg" else None)
    except OSError as error:
        raise FacepipeError(f"the picture {file} can't be written: {error.strerror}") from error
