"""Made libraries beside real photos: methods of grouping should do as well on both (`evaluation.made_library`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.config import Config
from facepipe.evaluation.clustering import compare_groups
from facepipe.evaluation.grouping_peers import PEERS, Peer
from facepipe.evaluation.made_library import LibraryPlan, make_library, spread_to_make_of
from facepipe.evaluation.tuning import try_settings
from facepipe.labelled_photos import LabelledFaces, crowding_levels, labelled_faces
from facepipe.models.face_spread import FaceSpread
from facepipe.runtime.engine import Engine
from facepipe.runtime.progress import show_progress

Ints = npt.NDArray[np.int64]

RANDOM_SEEDS = 3  # of a random method, the mean of so many runs counts: libraries differ more than runs do
OURS = "facepipe"
# Approximate rank-order isn't among them: by its ranks, hundreds of loose faces become one group on either kind.
COMPARED = ("dbscan", "chinese_whispers", "hac_average", "hdbscan", "two_measure_cut")


class BestFigures(NamedTuple):
    """How well a method groups a library at its best settings: for BCubed F and for pairwise F, each its own."""

    bcubed: float
    pairwise: float


def study_fidelity(images: Path, libraries: int, seed: int, config: Config, engine: Engine) -> dict[str, Any]:
    """Return how well methods group photos of people, and made libraries of equally many people and faces.

    Args:
        images: a folder a person; the central face of each photo counts.
        libraries: how many are made; the means over them count.
        seed: of the first.
        config: settings.
        engine: carries the stages out; closed afterwards.

    Raises:
        WrongUsageError: no library can be made for the embedder that the settings name.
    """
    spread = spread_to_make_of(config.embed)
    faces = labelled_faces(images, config, engine)
    return compare_libraries(faces, spread, libraries, seed, config)


def compare_libraries(
    faces: LabelledFaces,
    spread: FaceSpread,
    libraries: int,
    seed: int,
    config: Config,
    peers: Mapping[str, Peer] = PEERS,
) -> dict[str, Any]:
    """Return how well methods group real faces and made ones.

    Args:
        faces: real ones.
        spread: how such faces spread.
        libraries: how many are made with the same sizes of people.
        seed: of the first.
        config: settings of this project's grouping, which are not varied.
        peers: by name; those of COMPARED count, at the best of their settings.

    Returns:
        `methods`: for each method the best BCubed F and pairwise F (`bcubed`, `pairwise`) on the `real` faces, the
        mean on `made` ones, their standard deviation over the libraries and the `difference`. `greatest_difference` of
        the peers, and the numbers of `faces`, `people` and `libraries`.
    """
    sizes = np.unique(faces.names, return_counts=True)[1]
    chosen = {name: peer for name, peer in peers.items() if name in COMPARED}
    tries = sum(peer.method_for(faces.embeddings, RANDOM_SEEDS).tries for peer in chosen.values())
    with show_progress("eval", "groupings", (libraries + 1) * (1 + tries)) as progress:
        real = _best_of_methods(faces, config, chosen, progress.advance)
        made = [
            _best_of_methods(_made_faces(spread, sizes, seed + number, config), config, chosen, progress.advance)
            for number in range(libraries)
        ]
    methods = {name: _compared(real[name], [figures[name] for figures in made]) for name in real}
    differences = [
        abs(value) for name in chosen for value in methods[name]["difference"].values()
    ]  # ours has one setting, which is no best
    return {
        "methods": methods,
        "greatest_difference": max(differences, default=0.0),
        "faces": len(faces.names),
        "people": len(sizes),
        "libraries": libraries,
    }


def _made_faces(spread: FaceSpread, sizes: Ints, seed: int, config: Config) -> LabelledFaces:
    made = make_library(spread, LibraryPlan.plain(sizes), seed)
    levels = crowding_levels(made.embeddings, config.embed)
    return LabelledFaces(made.people.astype(np.str_), made.embeddings, made.votes, levels, undetected=0)


def _best_of_methods(
    faces: LabelledFaces, config: Config, peers: Mapping[str, Peer], advance: Any
) -> dict[str, BestFigures]:
    """Return each method's best figures, ours first, with the settings as they are."""
    ours = compare_groups(faces.names, faces.group(np.arange(len(faces.names)), config))
    advance(1)
    best = {OURS: BestFigures(ours.bcubed.f, ours.pairwise.f)}
    for name, peer in peers.items():
        tried = try_settings(faces.names, peer.method_for(faces.embeddings, RANDOM_SEEDS).reporting(advance))
        best[name] = BestFigures(max(one.bcubed.f for one in tried), max(one.pairwise.f for one in tried))
    return best


def _compared(real: BestFigures, made: Sequence[BestFigures]) -> dict[str, dict[str, float]]:
    mean, deviation = np.mean(made, axis=0), np.std(made, axis=0)
    rows = {"real": real, "made": mean, "deviation": deviation, "difference": mean - np.array(real)}
    return {name: dict(zip(BestFigures._fields, map(float, row), strict=True)) for name, row in rows.items()}
