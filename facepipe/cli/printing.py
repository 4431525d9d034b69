"""Tables on a terminal."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table


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
