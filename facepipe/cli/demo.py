"""`demo`: the guided first run."""

from typing import Any

import click

from facepipe.cli.options import computing_options


@click.command()
@computing_options
def demo(**options: Any) -> None:
    """Fetch weights and a small album, run the whole job on it and show the people found."""
    from facepipe.cli.steps import carry_out
    from facepipe.demo_album import make_album
    from facepipe.models.cache import home
    from facepipe.models.pull import pull

    for name in ("mtcnn", options["config"].embed.model):
        click.echo(f"Weights {name}", err=True)
        pull(name)
    album = make_album()
    click.echo(f"Album {album}", err=True)
    carry_out("run", {**options, "library": str(home() / "demo" / "library")}, [str(album)])
