"""The picture of `eval clustering --peers --plot`: every method's precision and recall, and the sizes of groups."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from facepipe.cli.grouping_table import OURS
from facepipe.cli.pictures import new_picture, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from facepipe.studies.grouping import GroupingStudy

LEAST_SHARE = 0.84  # where the axes begin: what is worse is of no use to anybody
EQUAL_F = (0.90, 0.92, 0.94, 0.96, 0.98)
TITLES = {
    "dbscan": "DBSCAN",
    "chinese_whispers": "Chinese Whispers",
    "hac_average": "HAC, average linkage",
    "hdbscan": "HDBSCAN",
    "rank_order": "approximate rank-order",
    "two_measure_cut": "two-measure cut",
}


def draw_picture(file: Path, study: "GroupingStudy", group: Mapping[str, float]) -> None:
    """Draw BCubed precision against recall over every method's settings, and the sizes of people and of groups.

    Args:
        file: where to, .png or .svg.
        study: figures with `all`.
        group: the settings of `group` as they are; our curve holds what differs from them in `average_distance` alone.

    Raises:
        FacepipeError: the file can't be written.
    """
    picture = new_picture(12, 5.2)
    left, right = picture.subplots(1, 2)
    _draw_methods(left, study.figures, group)
    _draw_sizes(right, study)
    save_picture(picture, file)


def _draw_methods(axes: "Axes", figures: Mapping[str, Any], group: Mapping[str, float]) -> None:
    recalls = np.linspace(LEAST_SHARE, 1, 100)
    for f in EQUAL_F:
        axes.plot(recalls, f * recalls / (2 * recalls - f), color="0.88", linewidth=0.8, zorder=0)
        axes.annotate(
            f"F {f:g}", (0.9985, f * 0.9985 / (2 * 0.9985 - f)), color="0.6", fontsize=7, ha="right", va="bottom"
        )
    for name, method in figures["peers"].items():
        shares = [setting["bcubed"] for setting in method["all"]]
        _curve(axes, shares, TITLES[name], {"marker": ".", "linewidth": 1})
    fixed = ("link_distance", "crowding_weight")
    ours = [
        tried for tried in figures["ours_tuned"]["all"] if all(tried["setting"][key] == group[key] for key in fixed)
    ]
    _curve(axes, [tried["bcubed"] for tried in ours], OURS, {"marker": ".", "linewidth": 2, "color": "black"})
    _curve(
        axes,
        [figures["bcubed"]],
        f"{OURS}, as set",
        {"marker": "*", "markersize": 14, "linewidth": 0, "color": "black"},
    )
    axes.set(
        xlim=(LEAST_SHARE, 1),
        ylim=(LEAST_SHARE, 1.003),
        xlabel="BCubed recall",
        ylabel="BCubed precision",
        title=f"{figures['faces']:,} faces, every setting",
    )
    axes.legend(loc="lower left", fontsize=8)


def _curve(axes: "Axes", shares: list[dict[str, float]], label: str, style: dict[str, Any]) -> None:
    axes.plot([one["recall"] for one in shares], [one["precision"] for one in shares], label=label, **style)


def _draw_sizes(axes: "Axes", study: "GroupingStudy") -> None:
    true, found = sizes_of(study.people), sizes_of(study.groups[study.groups >= 0])
    alone = np.ones(int((study.groups < 0).sum()), np.int64)
    _steps(axes, true, "people", {"color": "tab:blue", "linewidth": 3, "alpha": 0.5})
    _steps(axes, np.concatenate([found, alone]), f"groups of {OURS}, unassigned faces alone", {"color": "black"})
    axes.set(xscale="log", yscale="log", xlabel="rank by size", ylabel="faces", title="Sizes of people and of groups")
    axes.legend(fontsize=8)


def _steps(axes: "Axes", sizes: npt.NDArray[np.int64], label: str, style: dict[str, Any]) -> None:
    axes.plot(np.arange(1, len(sizes) + 1), sizes, label=f"{label}: {len(sizes):,}", drawstyle="steps-mid", **style)


def sizes_of(labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return how many faces (N,) bear each label, most first."""
    counts: npt.NDArray[np.int64] = np.sort(np.unique(labels, return_counts=True)[1])[::-1].astype(np.int64)
    return counts
