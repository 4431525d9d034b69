"""What `eval detectors` measured, as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import click


def print_detector_tables(figures: dict[str, Any]) -> None:
    """Print average precision by height with its interval, then at 40 px under each condition, then speed and time."""
    faces = ", ".join(f"{count} at least {height} px" for height, count in figures["faces"].items())
    click.echo(f"{figures['photos']} photos; faces: {faces}")
    heights = list(figures["faces"])
    _print_precision("average precision", heights, figures["detectors"])
    _print_precision(
        "on unseen photos", heights, {name: one.get("unseen") for name, one in figures["detectors"].items()}
    )
    changed = figures["conditions"]
    for what, kind in (("AP at 40 px", "average_precision"), ("recall at 40 px", "recall_at_threshold")):
        click.echo(f"\n{what:20}{'upright':>12}" + "".join(f"{name:>12}" for name in changed))
        for name, one in figures["detectors"].items():
            upright = one["average_precision"]["40"] if kind == "average_precision" else one[kind]
            click.echo(f"{name:20}{upright:12.3f}" + "".join(f"{one[key][kind]:12.3f}" for key in changed))
    click.echo("(recall at the score where precision on upright photos is 0.9)")
    click.echo(f"\n{'':20}{'photos/s':>12}{'seconds of training':>24}")
    for name, one in figures["detectors"].items():
        seconds = ", ".join(f"{value:,.0f}" for value in one["training_seconds"])
        click.echo(f"{name:20}{one['photos_per_second']:12.1f}{seconds:>24}")


def _print_precision(title: str, heights: Sequence[str], detectors: Mapping[str, Any]) -> None:
    """Print average precision with its interval, for those that were judged."""
    judged = {name: one for name, one in detectors.items() if one is not None}
    if not judged:
        return
    click.echo(f"\n{title:20}" + "".join(f"{height + ' px':>22}" for height in heights))
    for name, one in judged.items():
        cells = (_with_interval(one["average_precision"][height], one["interval"][height]) for height in heights)
        click.echo(f"{name:20}" + "".join(f"{cell:>22}" for cell in cells))


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} ({interval[0]:.2f}-{interval[1]:.2f})"
