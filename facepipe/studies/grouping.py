"""Grouping beside the methods that others use: all are tuned on one half of the people and judged on the other."""

import itertools
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.config import Config
from facepipe.errors import WrongUsageError
from facepipe.evaluation.grouping_peers import PEERS, Peer
from facepipe.evaluation.tuning import HALVES, JudgedHalf, Method, half_of, judge_halves, mean_figures, try_settings
from facepipe.evaluations import clustering_figures, config_for_model
from facepipe.labelled_photos import LabelledFaces, labelled_faces
from facepipe.runtime.engine import Engine
from facepipe.runtime.progress import show_progress

Ints = npt.NDArray[np.int64]

# What tuning tries around the settings as they are.
LINK_STEPS = (-0.04, -0.02, 0.0, 0.02, 0.04)
AVERAGE_STEPS = (-0.06, -0.04, -0.02, 0.0, 0.02, 0.04, 0.06)
CROWDING_STEPS = (-0.3, 0.0, 0.3)


class GroupingStudy(NamedTuple):
    """Grouping beside its peers.

    Attributes:
        figures: those of `evaluations.evaluate_clustering`; `ours_tuned` and, by name, `peers`. Of each method:
            `halves`, each with what it was tuned on, judged on, the chosen setting and the figures; their `mean`; and
            `all`, if that was wanted: each setting's figures on all faces. Of peers the `meaning` of the setting, too.
        people: (N,) who each face is.
        groups: (N,) int64, the person that grouping finds for each face with the settings as they are, -1 for none.
    """

    figures: dict[str, Any]
    people: npt.NDArray[np.str_]
    groups: Ints


def study_grouping(images: Path, config: Config, engine: Engine, with_all: bool = False) -> GroupingStudy:
    """Return how well photos' central faces are grouped, and how well other methods group them.

    Args:
        images: a folder a person.
        config: settings; tuning tries others around those of `group`.
        engine: carries the stages out; closed afterwards.
        with_all: try each method's settings on all faces, too.

    Raises:
        WrongUsageError: all people fall into one half.
    """
    config = config_for_model(config)
    return compare_methods(labelled_faces(images, config, engine), config, with_all)


def compare_methods(
    faces: LabelledFaces, config: Config, with_all: bool = False, peers: Mapping[str, Peer] = PEERS
) -> GroupingStudy:
    """Return how well this project and its peers group faces.

    The library of a half are the faces of its people alone. Peers that can't take so many faces are left out.

    Args:
        faces: to be grouped.
        config: as for `study_grouping`.
        with_all: likewise.
        peers: by name.

    Raises:
        WrongUsageError: all people fall into one half.
    """
    if len(np.unique(half_of(faces.names))) < len(HALVES):
        raise WrongUsageError("there are too few people: by their names, all fall into one half")
    groups = faces.group(np.arange(len(faces.names)), config)
    ours: Method[Any] = our_method(faces, config)
    able = {name: peer for name, peer in peers.items() if len(faces.names) <= peer.most_faces}
    theirs: dict[str, Method[Any]] = {name: peer.method_for(faces.embeddings) for name, peer in able.items()}
    libraries = len(HALVES) + int(with_all)
    total = libraries * sum(method.tries for method in (ours, *theirs.values()))
    with show_progress("eval", "groupings", total) as progress:
        ours_tuned = _judge(faces, ours.reporting(progress.advance), with_all)
        peers_tuned = {
            name: {"meaning": able[name].meaning} | _judge(faces, method.reporting(progress.advance), with_all)
            for name, method in theirs.items()
        }
    figures = clustering_figures(faces, groups) | {"ours_tuned": ours_tuned, "peers": peers_tuned}
    return GroupingStudy(figures, faces.names, groups)


def our_method(faces: LabelledFaces, config: Config) -> Method[dict[str, float]]:
    """Return this project's grouping as a method: settings of `group` around those of the configuration."""
    group = config.group
    links = _around(group.link_distance, LINK_STEPS)
    averages = _around(group.average_distance, AVERAGE_STEPS)
    weights = _around(group.crowding_weight, CROWDING_STEPS) if faces.crowding.any() else [group.crowding_weight]
    settings = [
        {"link_distance": link, "average_distance": average, "crowding_weight": weight}
        for link, average, weight in itertools.product(links, averages, weights)
    ]

    def group_rows(rows: Ints, setting: dict[str, float], _seed: int) -> Ints:
        return faces.group(rows, config.model_copy(update={"group": group.model_copy(update=setting)}))

    return Method(group_rows, settings)


def _around(value: float, steps: tuple[float, ...]) -> list[float]:
    """Return values around one, those that are in the range of every such setting."""
    return [near for step in steps if 0 < (near := round(value + step, 6)) <= 2 or step == 0]


def _judge(faces: LabelledFaces, method: Method[Any], with_all: bool) -> dict[str, Any]:
    """Return what is reported of a method."""
    halves = judge_halves(faces.names, method)
    reported: dict[str, Any] = {
        "halves": [_flat(half) for half in halves],
        "mean": asdict(mean_figures([half.figures for half in halves])),
    }
    if with_all:
        tried = try_settings(faces.names, method)
        reported["all"] = [
            {"setting": setting, **asdict(figures)} for setting, figures in zip(method.settings, tried, strict=True)
        ]
    return reported


def _flat(half: JudgedHalf[Any]) -> dict[str, Any]:
    values = asdict(half)
    figures: dict[str, Any] = values.pop("figures")
    return values | figures
