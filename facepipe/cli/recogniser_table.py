"""What `eval recogniser` prints."""

from collections.abc import Mapping
from typing import Any

import click


def print_recogniser_table(figures: Mapping[str, Any]) -> None:
    """Print a row a contestant, then who is ahead of whom and by how much."""
    titles = {
        "accuracy": 16,
        "area": 8,
        "TAR at 0.01": 13,
        "BCubed F": 10,
        "faces/s": 9,
        "learned for": 13,
        "samples/s": 11,
    }
    click.echo(f"{'':24}" + "".join(f"{title:>{width}}" for title, width in titles.items()))
    for name, row in figures["rows"].items():
        learned = "" if row["seconds"] is None else f"{row['seconds'] / 60:9.1f} min{row['samples_per_second']:11,.0f}"
        click.echo(
            f"{name:24}{row['accuracy']:9.3f} ± {row['se']:.3f}{row['auc']:8.3f}{row['tar_at_far_0.01']:13.3f}"
            f"{'' if row['bcubed_f'] is None else format(row['bcubed_f'], '.3f'):>10}"
            f"{row['faces_per_second']:9,.0f}{learned}"
        )
    click.echo()
    for found in figures["differences"]:
        verdict = "" if found["clear"] else ", which is none"
        click.echo(f"{found['of']} over {found['over']}: {found['mean']:+.3f} ± {found['se']:.3f}{verdict}")
    for name, spread in figures["seeds"].items():
        told = ", ".join(f"{one:.3f}" for one in spread["accuracies"])
        click.echo(f"{name}, by seed: {told} (standard deviation {spread['deviation']:.3f})")
    for fold, learned_from in zip(figures["folds"], figures["learned_from"], strict=True):
        click.echo(f"without fold {fold}: {learned_from['faces']:,} faces of {learned_from['people']:,} people")
