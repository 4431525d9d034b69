"""Grouping at any size: a made library from embeddings to people, and what others need for the same faces."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.benchmarks.apart import run_apart
from facepipe.clustering.grouping import group_faces
from facepipe.clustering.identities import match_identities
from facepipe.config import Config
from facepipe.errors import FacepipeError
from facepipe.evaluation.clustering import compare_groups
from facepipe.evaluation.grouping_peers import PEERS, Peer
from facepipe.evaluation.made_library import LibraryPlan, make_library, spread_to_make_of
from facepipe.evaluation.tuning import try_settings
from facepipe.models.cohort import cohort_of
from facepipe.runtime.progress import show_progress
from facepipe.stages.group_people import crowding_of, settings_of

Ints = npt.NDArray[np.int64]

TUNING_FACES = 4_000  # on a library of so many a peer's setting is chosen
PARTS = ("embeddings", "photo_index", "people", "votes")


class Grouped(NamedTuple):
    """What came of a library.

    Attributes:
        labels: (N,) int64, -1 for unassigned.
        seconds: of each phase; `total` is their sum.
        recall: of the search for neighbours.
        probes: likewise.
    """

    labels: Ints
    seconds: dict[str, float]
    recall: float = 1.0
    probes: int = 0


def bench_grouping(plan: LibraryPlan, seed: int, peers: Sequence[str], config: Config) -> dict[str, Any]:
    """Return how long a made library's faces take to become people, how much memory, and how well it went.

    From embeddings in memory to persons' ids: making the library, writing and reading it do not count. Memory is that
    of a process that does nothing else, its embeddings and libraries included. Peers group the faces that vote, each in
    a process of its own, with the setting of best BCubed F on a smaller library of another seed.

    Args:
        plan: what the library is like.
        seed: of the library.
        peers: names in `evaluation.grouping_peers.PEERS`, of those that group it too.
        config: settings.

    Returns:
        `seconds`, `peak_memory_bytes`, `recall` and `probes` of the search, and the figures of
        `evaluation.clustering`; `peers`, by name: the same figures, `seconds`, `peak_memory_bytes`, the `setting` and
        the `ratio` of its seconds to ours; or the `reason` why there are none.

    Raises:
        WrongUsageError: no library can be made for the embedder that the settings name.
        FacepipeError: grouping failed.
    """
    spread_to_make_of(config.embed)
    with (
        tempfile.TemporaryDirectory(prefix="facepipe-bench-") as name,
        show_progress("bench", "groupings", 1 + len(peers)) as progress,
    ):
        folder = Path(name)
        run_apart(_write_library, folder, plan, seed, config)
        grouped, memory = run_apart(_group, folder, config)
        progress.advance(1)
        people = np.load(folder / "people.npy")
        beside = {}
        for peer in peers:
            beside[peer] = _figures_of_peer(peer, folder, plan, seed, people, grouped.seconds["total"], config)
            progress.advance(1)
    return {
        "seconds": grouped.seconds,
        "peak_memory_bytes": memory,
        "recall": grouped.recall,
        "probes": grouped.probes,
        **asdict(compare_groups(people, grouped.labels)),
        "people": len(np.unique(people)),
        "seed": seed,
        "peers": beside,
    }


def _write_library(folder: Path, plan: LibraryPlan, seed: int, config: Config) -> None:
    library = make_library(spread_to_make_of(config.embed), plan, seed)
    for part in PARTS:
        np.save(folder / f"{part}.npy", getattr(library, part))


def _read_library(folder: Path) -> list[Any]:
    return [np.load(folder / f"{part}.npy") for part in PARTS]


def _group(folder: Path, config: Config) -> Grouped:
    """Group a library with this project."""
    embeddings, photo_index, _, votes = _read_library(folder)
    face_ids = [f"{photo:064x}-{face:07d}" for face, photo in enumerate(photo_index.tolist())]
    cohort = cohort_of(config.embed.weights)
    start = time.perf_counter()
    crowded = crowding_of(embeddings, config.group, cohort)
    compared = time.perf_counter()
    grouping = group_faces(embeddings, photo_index, settings_of(config.group), votes, crowded)
    grouped = time.perf_counter()
    match_identities({}, face_ids, grouping.labels)
    matched = time.perf_counter()
    seconds = dict(grouping.seconds)
    seconds["knn"] += compared - start  # the nearest of the cohort
    seconds["people"] += matched - grouped
    return Grouped(grouping.labels, {**seconds, "total": matched - start}, grouping.recall, grouping.probes)


def _group_by_peer(folder: Path, name: str, setting: float) -> Grouped:
    """Group the faces that vote with a peer."""
    embeddings, _, _, votes = _read_library(folder)
    rows = np.flatnonzero(votes)
    labels = np.full(len(votes), -1, np.int64)
    embeddings = embeddings[rows]
    start = time.perf_counter()
    labels[rows] = PEERS[name].group(embeddings, setting)
    return Grouped(labels, {"total": time.perf_counter() - start})


def _figures_of_peer(
    name: str, folder: Path, plan: LibraryPlan, seed: int, people: Ints, ours: float, config: Config
) -> dict[str, Any]:
    peer = PEERS[name]
    faces = int(np.load(folder / "votes.npy").sum())
    if faces > peer.most_faces:
        return {"reason": f"{faces:,} faces are too many for it: {peer.most_faces:,} at most"}
    try:
        setting = _best_setting(peer, plan, seed + 1, config)
        grouped, memory = run_apart(_group_by_peer, folder, name, setting)
    except FacepipeError as error:
        return {"reason": str(error)}
    seconds = grouped.seconds["total"]
    return {
        "seconds": seconds,
        "ratio": seconds / ours,
        "setting": setting,
        "meaning": peer.meaning,
        "peak_memory_bytes": memory,
        **asdict(compare_groups(people, grouped.labels)),
    }


def _best_setting(peer: Peer, plan: LibraryPlan, seed: int, config: Config) -> float:
    """Return the setting of best BCubed F on a smaller library; of equally good ones the first."""
    small = make_library(spread_to_make_of(config.embed), replace(plan, faces=min(plan.faces, TUNING_FACES)), seed)
    tried = try_settings(small.people[small.votes], peer.method_for(small.embeddings[small.votes], random_seeds=1))
    return peer.settings[int(np.argmax([figures.bcubed.f for figures in tried]))]
