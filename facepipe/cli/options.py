"""Options that several commands share."""

import json
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click

from facepipe.config import DETECTORS, EMBEDDERS, load_config
from facepipe.errors import MaxFailed

Command = Callable[..., Any]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)

NAMED_SETTINGS = {"detector": "detect.detector", "embedder": "embed.embedder"}  # options of their own


def parse_max_failed(ctx: click.Context, param: click.Parameter, value: str) -> MaxFailed:
    """Return the limit written as `3` or `1%`."""
    text = value.strip()
    percent = text.endswith("%")
    try:
        number = float(text.removesuffix("%")) if percent else int(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is neither a number such as 3 nor a share such as 1%", ctx, param
        ) from error
    if not 0 <= number <= (100 if percent else float("inf")):
        raise click.BadParameter(f"{value!r} is out of range", ctx, param)
    return MaxFailed(number, percent)


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return what adds options to a command, which `--help` shows in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def library_option(command: Command) -> Command:
    """Add `--library`."""
    return click.option(
        "--library", required=True, metavar="DIR|URI", help="The library: a folder or an object store."
    )(command)


def config_options(command: Command) -> Command:
    """Add `--config` and `--set`, handed over as one `config`."""

    def with_config(*args: Any, config_file: Path | None, overrides: tuple[str, ...], **kwargs: Any) -> Any:
        named = {key: kwargs.pop(option, None) for option, key in NAMED_SETTINGS.items()}
        chosen = [f"{key}={value}" for key, value in named.items() if value is not None]
        return command(*args, config=load_config(config_file, [*overrides, *chosen]), **kwargs)

    with_config = update_wrapper(with_config, command)
    with_config = click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A setting, such as detect.min_face=40."
    )(with_config)
    return click.option(
        "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE.toml", help="Settings from a file."
    )(with_config)


def detector_option(command: Command) -> Command:
    """Add `--detector`, a setting, to a command that takes settings."""
    return click.option("--detector", type=click.Choice(DETECTORS), help="What finds faces.")(command)


def embedder_option(command: Command) -> Command:
    """Add `--embedder`, a setting, to a command that takes settings."""
    return click.option("--embedder", type=click.Choice(EMBEDDERS), help="What turns faces into vectors.")(command)


def model_options(command: Command) -> Command:
    """Add `--detector` and `--embedder`."""
    return detector_option(embedder_option(command))


def engine_options(command: Command) -> Command:
    """Add `--engine` and `--address`."""
    command = click.option("--address", metavar="ADDRESS", help="A Ray cluster (default: an embedded local Ray).")(
        command
    )
    return click.option(
        "--engine", type=click.Choice(["ray", "local"]), default="ray", show_default=True, help="What runs the stages."
    )(command)


def common_options(command: Command) -> Command:
    """Add what every command takes: settings (handed over as `config`) and `--json` (as `as_json`)."""
    return config_options(
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(command)
    )


def computing_options(command: Command) -> Command:
    """Add what every computing command takes: an engine, beside the common options."""
    return common_options(engine_options(command))


def print_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    click.echo(json.dumps(value, indent=2, default=str))
