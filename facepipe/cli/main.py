"""`facepipe`: finds the command, and turns every expected error into one sentence and an exit status."""

import sys
from importlib import import_module
from importlib.metadata import distributions

import click

import facepipe
from facepipe.errors import FacepipeError, WrongUsageError

COMMANDS = {
    "run": "facepipe.cli.steps:run",
    "ingest": "facepipe.cli.steps:ingest",
    "extract": "facepipe.cli.steps:extract",
    "dedup": "facepipe.cli.steps:dedup",
    "group": "facepipe.cli.steps:group",
    "report": "facepipe.cli.steps:report",
    "people": "facepipe.cli.people:people",
    "search": "facepipe.cli.search:search",
    "check": "facepipe.cli.check:check",
    "runs": "facepipe.cli.runs:runs",
    "doctor": "facepipe.cli.doctor:doctor",
    "models": "facepipe.cli.models:models",
    "detect": "facepipe.cli.detect:detect",
    "align": "facepipe.cli.align:align",
    "train": "facepipe.cli.train:train",
    "eval": "facepipe.cli.evaluate:evaluate",
    "bench": "facepipe.cli.bench:bench",
    "demo": "facepipe.cli.demo:demo",
}


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for, so that `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(facepipe.__version__, prog_name="facepipe")
def cli() -> None:
    """Photos in, people out: find, group and name the faces of a photo collection.

    Start with `facepipe run PHOTOS --library DIR`, or with `facepipe demo`.
    """
    require_one_faiss()


def require_one_faiss() -> None:
    """Check that one build of FAISS is installed: both own the import folder `faiss`.

    Raises:
        WrongUsageError: there is none, or both.
    """
    found = {name for d in distributions() if (name := (d.name or "").lower().replace("_", "-")).startswith("faiss-")}
    if not found:
        raise WrongUsageError("faiss is not installed: install facepipe with the extra `cpu` or, for CUDA, `gpu`")
    if len(found) > 1:
        names = " and ".join(sorted(found))
        raise WrongUsageError(f"{names} are both installed and overwrite each other: uninstall both, then install one")


def main(command: click.Command = cli) -> None:
    """Run a command and exit with its status; an expected error is one sentence on stderr."""
    try:
        command.main(prog_name="facepipe" if command is cli else None)
    except FacepipeError as error:
        click.echo(f"facepipe: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
