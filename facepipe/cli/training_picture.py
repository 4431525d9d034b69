"""The picture of `train … --plot`: how each network of a training learned, from what it left in `progress.parquet`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.parquet as pq

from facepipe.cli.pictures import new_picture, save_picture
from facepipe.errors import FacepipeError
from facepipe.training.loop import PROGRESS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = tuple[list[int], list[float]]  # steps and values

LOSS, JUDGED, SHARE, DISTANCE = "loss", "area under ROC, held out", "share", "mean squared distance"
PANELS: dict[str, tuple[str, ...]] = {  # a figure that is in no other panel is a loss
    LOSS: (),
    JUDGED: ("auc", "worn_auc"),
    SHARE: ("wrong", "active"),
    DISTANCE: ("positive", "negative"),
}
NOT_DRAWN = ("step", "seconds", "samples_per_second", "gradient", "score")
CHANCE, NEAR_CHANCE = 0.5, 0.75  # of JUDGED: a line is drawn at the first where curves come down to the second
LOG_FROM = 4.0  # where the greatest value is so many times the least, a scale is logarithmic
PANEL_SIZE = 4.6, 3.0  # inches
MOST_COLUMNS = 3  # of networks that have nothing but losses


class Learned(NamedTuple):
    """How a network learned.

    Attributes:
        name: of the network.
        panels: curves by their names, by panel, in the order of PANELS.
        kept: after which step the network was the best by held-out samples; None: the last one is kept.
    """

    name: str
    panels: dict[str, dict[str, Curve]]
    kept: int | None


def draw_curves(file: Path, folder: Path, title: str) -> None:
    """Draw a row of panels a network, those trained first at the top; panels of networks with losses alone fill rows.

    Args:
        file: where to, .png or .svg.
        folder: of a training that has ended.
        title: of the picture.

    Raises:
        FacepipeError: the file can't be written, or the folder holds no progress.
    """
    networks = read_progress(folder)
    kinds = [kind for kind in PANELS if any(kind in network.panels for network in networks)]
    alone = kinds == [LOSS]
    columns = min(len(networks), MOST_COLUMNS) if alone else len(kinds)
    rows = math.ceil(len(networks) / columns) if alone else len(networks)
    picture = new_picture(columns * PANEL_SIZE[0], rows * PANEL_SIZE[1] + 0.4)
    picture.suptitle(title)
    places = picture.subplots(rows, columns, squeeze=False)
    wanted = [(network, kind) for network in networks for kind in kinds]
    for axes in places.flat[len(wanted) :]:
        axes.remove()
    for (network, kind), axes in zip(wanted, places.flat, strict=False):
        if kind in network.panels:
            _draw_panel(axes, network, kind)
        else:
            axes.remove()
    save_picture(picture, file)


def read_progress(folder: Path) -> list[Learned]:
    """Return how the networks of a training learned, in the order in which they ended.

    Raises:
        FacepipeError: it has left no progress.
    """
    files = sorted(folder.rglob(PROGRESS), key=lambda file: (file.stat().st_mtime_ns, file))
    if not files:
        raise FacepipeError(f"{folder} holds no {PROGRESS}: there are no curves to draw")
    return [_learned(_name_of(file.parent, folder), pq.read_table(file).to_pylist()) for file in files]


def _name_of(place: Path, folder: Path) -> str:
    return "" if place == folder else str(place.relative_to(folder))


def _learned(name: str, rows: Sequence[Mapping[str, float | None]]) -> Learned:
    figures = [figure for figure in rows[0] if figure not in NOT_DRAWN]
    panel_of = {figure: kind for kind, names in PANELS.items() for figure in names}
    panels: dict[str, dict[str, Curve]] = {kind: {} for kind in PANELS}
    for figure in figures:
        told = [(int(row["step"] or 0), value) for row in rows if (value := row[figure]) is not None]
        panels[panel_of.get(figure, LOSS)][figure] = [step for step, _ in told], [value for _, value in told]
    judged = [(score, int(row["step"] or 0)) for row in rows if (score := row.get("score")) is not None]
    losses = panels[LOSS]
    panels[LOSS] = {figure: curve for figure, curve in losses.items() if figure == LOSS or curve != losses.get(LOSS)}
    best = max(judged, key=lambda one: one[0], default=None)
    return Learned(name, {kind: curves for kind, curves in panels.items() if curves}, best and best[1])


def _draw_panel(axes: "Axes", network: Learned, kind: str) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    curves = network.panels[kind]
    for figure, (steps, values) in curves.items():
        whole = kind == LOSS and figure == LOSS
        style = {"color": "black", "linewidth": 2} if whole else {"linewidth": 1.2}
        axes.plot(steps, values, marker=".", markersize=4, label=figure.replace("_", " "), **style)
    if kind == JUDGED and min(_values(curves)) < NEAR_CHANCE:
        axes.axhline(CHANCE, color="0.6", linewidth=0.8, linestyle=":", label="chance")
    if network.kept is not None:
        label = f"kept: step {network.kept:,}" if kind == JUDGED else None
        axes.axvline(network.kept, color="0.6", linewidth=0.8, linestyle="--", label=label)
    axes.set(xlabel="step", ylabel=kind, title=network.name)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if kind == LOSS and _spans(curves):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    if kind == SHARE:
        axes.set_ylim(bottom=0)
    axes.grid(color="0.92", linewidth=0.6)
    axes.legend(fontsize=8)


def _spans(curves: Mapping[str, Curve]) -> bool:
    """Return whether values are all positive, and the greatest is several times the least."""
    values = _values(curves)
    return min(values) > 0 and max(values) > LOG_FROM * min(values)


def _values(curves: Mapping[str, Curve]) -> list[float]:
    return [value for _, of_curve in curves.values() for value in of_curve]
