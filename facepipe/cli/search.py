"""`search`: who is on a photo."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from facepipe.cli.options import FILE, common_options, library_option, model_options, print_json


@click.command()
@click.argument("photo", type=FILE, metavar="PHOTO")
@library_option
@model_options
@common_options
def search(photo: Path, library: str, config: Any, as_json: bool) -> None:
    """Say who is on a photo, which need not be in the library: distances and how sure they are."""
    from facepipe import pipeline
    from facepipe.cli.tables import print_search
    from facepipe.library.library import Library
    from facepipe.runtime.engine import create_engine

    with closing(create_engine("local", None)) as engine:
        faces = pipeline.search(Library.open(library), photo, engine, config)
    if as_json:
        print_json({"faces": faces})
    else:
        print_search(faces)
