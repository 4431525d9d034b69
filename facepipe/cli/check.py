"""`check`: every promise that a library makes, proved."""

import sys
from typing import Any

import click

from facepipe.cli.options import common_options, library_option, print_json


@click.command()
@library_option
@common_options
def check(library: str, as_json: bool, **_settings: Any) -> None:
    """Prove every invariant of a library; exit with 1 and a list where one is broken."""
    from facepipe.errors import LibraryError
    from facepipe.library.check import check as find_problems
    from facepipe.library.library import Library

    try:
        problems = find_problems(Library.open(library))
    except LibraryError as error:  # not even to be opened: the record is damaged, or another version's
        problems = [str(error)]
    if as_json:
        print_json({"ok": not problems, "problems": problems})
    elif problems:
        click.echo("\n".join(problems))
    else:
        click.echo("The library is sound.")
    sys.exit(1 if problems else 0)
