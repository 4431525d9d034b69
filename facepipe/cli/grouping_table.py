"""What `eval clustering --peers` prints for people."""

from collections.abc import Mapping
from typing import Any

import click

OURS = "facepipe"
PARTS = ("precision", "recall", "f")


def print_grouping_table(figures: Mapping[str, Any]) -> None:
    """Print each method's figures on both halves and their means, ours first.

    Args:
        figures: from `studies.grouping.study_grouping`.
    """
    click.echo("\nEach setting is tuned, by BCubed F, on the half of the people that is not judged.")
    click.echo(f"{'':18}{'':8}{'BCubed':>14}{'':10}{'pairs':>14}{'':10}{'largest':>9}")
    parts = "".join(f"{part:>8}" for part in ("prec.", "recall", "F"))
    click.echo(f"{'method':18}{'half':8}{parts}{parts}{'impure':>9}   setting")
    for name, method in {OURS: figures["ours_tuned"], **figures["peers"]}.items():
        for half in method["halves"]:
            click.echo(f"{name:18}{half['judged_on']:8}{_numbers(half)}   {setting_text(half['setting'])}")
        click.echo(f"{name:18}{'mean':8}{_numbers(method['mean'])}")


def setting_text(setting: float | Mapping[str, float]) -> str:
    """Return a setting for people."""
    if isinstance(setting, Mapping):
        return ", ".join(f"{name} {value:g}" for name, value in setting.items())
    return f"{setting:g}"


def _numbers(figures: Mapping[str, Any]) -> str:
    shares = [figures[kind][part] for kind in ("bcubed", "pairwise") for part in PARTS]
    return "".join(f"{share:8.4f}" for share in shares) + f"{figures['largest_impure']:9.4g}"
