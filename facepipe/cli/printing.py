"""Tables and figures on a terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from facepipe.cli.options import print_json


def print_table(left: Iterable[str], right: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table; the columns named first are aligned to the left, all others to the right."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)


def show_figures(figures: Mapping[str, Any], as_json: bool) -> None:
    """Print figures, a line each, or as one JSON object."""
    if as_json:
        print_json(figures)
        return
    for name, value in figures.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key}: {_rounded(item)}" for key, item in value.items())
        elif isinstance(value, list):
            text = ", ".join(str(_rounded(item)) for item in value)
        else:
            text = str(_rounded(value))
        click.echo(f"{name:20} {text}")


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
