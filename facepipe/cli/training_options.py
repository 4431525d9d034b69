"""What every training takes on the command line, and the line on which it shows how far it is."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from facepipe.cli.options import NEW_FOLDER, with_options
from facepipe.cli.pictures import plot_option
from facepipe.errors import WrongUsageError

Command = Callable[..., Any]

LINE_SECONDS = 10.0


def pace_options(command: Command) -> Command:
    """Add what every training takes: where, for how long, how fast, on how many workers."""
    add = with_options(
        click.option(
            "--out",
            type=NEW_FOLDER,
            metavar="DIR",
            help="For checkpoints, progress and weights; the same folder goes on.  [default: training-NAME]",
        ),
        click.option("--seed", default=0, show_default=True, help="Of all that is random."),
        click.option(
            "--effort",
            type=click.FloatRange(min=0, min_open=True),
            default=1.0,
            show_default=True,
            help="Factor on how long it learns.",
        ),
        click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="The greatest one."),
        click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Of Ray Train."),
        plot_option("Draw how each network learned, step by step"),
    )
    return add(command)


def weights_of(name: str, architecture: str | None = None) -> Any:
    """Return the weights in a safetensors file, or of a model.

    Args:
        name: of the file or the model.
        architecture: that they have to be of; None: any.

    Raises:
        WrongUsageError: there is no such model, or it is of another architecture.
        WeightsError: a model's weights aren't here, or are corrupt.
        TrainingError: the file can't be read, or holds another network.
    """
    from facepipe.models.cache import load_weights
    from facepipe.trainings import read_weights

    if Path(name).suffix == ".safetensors":
        return read_weights(Path(name), architecture)
    return load_weights(name, architecture)


@contextmanager
def open_fit(engine: str, address: str | None, workers: int) -> Iterator[Any]:
    """Yield what trains networks, in this process or on Ray, and shows how far it is on one line.

    Raises:
        WrongUsageError: several workers without Ray.
    """
    from facepipe.training.loop import RaySettings
    from facepipe.training.recipe import Fit

    line = _ProgressLine()
    if engine == "local":
        if workers > 1:
            raise WrongUsageError("--workers needs Ray: leave out --engine local")
        yield Fit(None, line.show, line.say)
        return
    from facepipe.runtime.ray_train import training_workers

    with training_workers(address, workers) as share:
        yield Fit(RaySettings(*share), line.show, line.say)


class _ProgressLine:
    """One line on a terminal that is written over, or a line every ten seconds elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._last = 0.0

    def show(self, name: str, progress: Any) -> None:
        losses = ", ".join(f"{key} {value:.4f}" for key, value in {**progress.losses, **progress.judged}.items())
        left = (progress.steps - progress.step) * progress.seconds / max(progress.step, 1)
        self.say(
            f"{name}: {progress.step:,} of {progress.steps:,} steps, {losses}, "
            f"{progress.samples_per_second:,.0f} samples/s, {left:.0f} s left",
            ends=progress.step == progress.steps,
        )

    def say(self, line: str, *, ends: bool = False) -> None:
        if self._live:
            click.echo(f"\r\x1b[2K{line}", err=True, nl=ends)
        elif ends or time.monotonic() - self._last > LINE_SECONDS:
            self._last = time.monotonic()
            click.echo(line, err=True)
