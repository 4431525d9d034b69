"""`doctor`: what this machine has, and what is missing."""

import sys
from dataclasses import asdict

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from facepipe.cli.options import common_options, print_json
from facepipe.config import Config

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--library", metavar="DIR|URI", help="Look at this library, too.")
@common_options
def doctor(library: str | None, config: Config, as_json: bool) -> None:
    """Show what this machine has; exit with 1 and what to do where a run could not be done."""
    from facepipe.doctor.examine import examine

    findings = examine(config, library)
    sound = all(finding.state != "fail" for finding in findings)
    if as_json:
        print_json({"ok": sound, "findings": [asdict(finding) for finding in findings]})
    else:
        table = Table(box=box.SIMPLE_HEAD, show_header=False)
        for finding in findings:
            said = escape(finding.found) + (f"\n→ {escape(finding.advice)}" if finding.advice else "")
            table.add_row(f"[{COLOURS[finding.state]}]{finding.state}[/]", finding.name, said)
        Console().print(table)
    sys.exit(0 if sound else 1)
