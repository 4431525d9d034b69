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
    from facepipe.library.library import FORMAT
    from facepipe.models.cache import home
    from facepipe.models.pull import pull

    for name in ("mtcnn", options["config"].embed.weights):
        click.echo(f"Weights {name}", err=True)
        pull(name)
    album = make_album()
    click.echo(f"Album {album}", err=True)
    library = home() / "demo" / f"library-{FORMAT}"  # what an older version made stays, and is not in the way
    carry_out("run", {**options, "library": str(library)}, [str(album)])
