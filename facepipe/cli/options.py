"""Options that several commands share."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click

from facepipe.config import Config, load_config

Command = Callable[..., Any]


@dataclass(frozen=True)
class MaxFailed:
    """How many of a run's photos may fail: a number, or a share of those tried.

    Attributes:
        number: photos, or percent.
        percent: which of the two.
    """

    number: float
    percent: bool

    def exceeded(self, failed: int, tried: int) -> bool:
        """Return whether more photos failed than allowed."""
        return failed > (self.number / 100 * tried if self.percent else self.number)


class MaxFailedType(click.ParamType):
    """`3` or `1%`."""

    name = "N|P%"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> MaxFailed:
        """Return the parsed limit."""
        if isinstance(value, MaxFailed):
            return value
        text = str(value).strip()
        percent = text.endswith("%")
        try:
            number = float(text.removesuffix("%")) if percent else int(text)
        except ValueError:
            self.fail(f"{value!r} is neither a number such as 3 nor a share such as 1%", param, ctx)
        if not 0 <= number <= (100 if percent else float("inf")):
            self.fail(f"{value!r} is out of range", param, ctx)
        return MaxFailed(number, percent)


def library_option(command: Command) -> Command:
    """Add `--library`."""
    return click.option(
        "--library", required=True, metavar="DIR|URI", help="The library: a folder or an object store."
    )(command)


def json_option(command: Command) -> Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(command)


def config_options(command: Command) -> Command:
    """Add `--config` and `--set`, handed over as one `config`."""

    def with_config(*args: Any, config_file: Path | None, overrides: tuple[str, ...], **kwargs: Any) -> Any:
        return command(*args, config=load_config(config_file, overrides), **kwargs)

    with_config = update_wrapper(with_config, command)
    with_config = click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A setting, such as detect.min_face=40."
    )(with_config)
    return click.option(
        "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE.toml", help="Settings from a file."
    )(with_config)


def engine_options(command: Command) -> Command:
    """Add `--engine` and `--address`."""
    command = click.option("--address", metavar="ADDRESS", help="A Ray cluster (default: an embedded local Ray).")(
        command
    )
    return click.option(
        "--engine", type=click.Choice(["ray", "local"]), default="ray", show_default=True, help="What runs the stages."
    )(command)


def computing_options(command: Command) -> Command:
    """Add what every computing command takes: settings, engine and `--json`."""
    return config_options(engine_options(json_option(command)))


def print_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    click.echo(json.dumps(value, indent=2, default=str))


__all__ = [
    "Config",
    "MaxFailed",
    "MaxFailedType",
    "computing_options",
    "config_options",
    "json_option",
    "library_option",
    "print_json",
]
