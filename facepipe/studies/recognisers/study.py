"""Recognisers are trained and judged, fold by fold, and compared pair by pair."""

import hashlib
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from facepipe.clustering.grouping import GroupingSettings, group_faces
from facepipe.config import Config
from facepipe.errors import WrongUsageError
from facepipe.evaluation.clustering import compare_groups
from facepipe.evaluation.lfw import read_pairs
from facepipe.evaluation.pair_metrics import UNLEARNED, compare_pairs
from facepipe.evaluation.pair_verdicts import Verdicts, accuracy, compare, verdicts_on
from facepipe.labelled_people import WIDE, collect_people
from facepipe.labelled_photos import digest_of_photos, find_central_faces, photos_in
from facepipe.runtime.engine import Engine
from facepipe.stages.align_faces import Crops
from facepipe.studies.recognisers.contests import CONTESTS, EIGENFACES, EIGENFACES_ALIGNMENT, Way, eigenfaces
from facepipe.studies.recognisers.course import Course, Entry
from facepipe.studies.recognisers.judged_faces import JudgedFaces
from facepipe.training.distance_fit import fit_distances
from facepipe.training.loop import PROGRESS
from facepipe.training.people import NOBODY
from facepipe.training.recipe import Fit
from facepipe.trainings import other_settings

SETTINGS = "study.json"


@dataclass
class Row:
    """What is known of a contestant, fold after fold."""

    verdicts: list[Verdicts] = field(default_factory=list)
    bcubed: list[float] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)
    trainings: list[Path] = field(default_factory=list)


def study_recogniser(
    name: str,
    images: Path,
    pairs_file: Path,
    others: Sequence[Path],
    folder: Path,
    folds: Sequence[int],
    seeds: Sequence[int],
    fit: Fit,
    config: Config,
    open_engine: Callable[[], Engine],
    effort: float = 1.0,
    share: float = 1.0,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Return how a recogniser does on people it has never seen, beside what it must beat.

    Args:
        name: key of CONTESTS.
        images: photos of the people that pairs name, a folder a person.
        pairs_file: LFW's View 2.
        others: folders with other people's photos, which all trainings see.
        folder: for faces and trainings; what is finished there is not done again.
        folds: to be judged, each by networks trained without it; none: all.
        seeds: the first is judged on all folds, the others on the first fold, for the spread.
        fit: trains networks.
        config: settings.
        open_engine: opens what carries stages out.
        effort: factor on how long networks learn.
        share: of the people whom they may learn from, for a learning curve.
        only: in which ways it learns, of those in CONTESTS; none: all.

    Raises:
        WrongUsageError: there are no such folds or ways, a photo of a pair is missing, or the folder holds a study of
            other photos, pairs or settings.
    """
    contest = CONTESTS[name]
    if absent := [way for way in only if way not in contest.ways]:
        raise WrongUsageError(f"{name} doesn't learn by {absent[0]!r}, only by {', '.join(contest.ways)}")
    ways = [contest.ways[way] for way in only or contest.ways]
    pairs = read_pairs(pairs_file)
    there = np.unique(pairs.fold).tolist()
    if beyond := sorted(set(folds) - set(there)):
        raise WrongUsageError(f"{pairs_file} has {len(there)} folds: there is no fold {beyond[0] + 1}")
    folds = folds or there
    _claim(folder, images, pairs_file, others, config)
    found = folder / "central-faces.parquet"
    paths = [path for place in (*others, images) for path in photos_in(place)]
    find_central_faces(paths, found, config, open_engine())
    people = {
        alignment: collect_people(
            [*others, images], None, folder / f"people-{alignment}", config, open_engine(), _wide(alignment), found
        )
        for alignment in {EIGENFACES_ALIGNMENT, *(way.alignment for way in ways)}
    }
    judged = JudgedFaces(images, found, folder / "judged", config, open_engine)
    course = Course(people, judged, pairs, folder, fit, effort, share)
    rows: dict[str, Row] = defaultdict(Row)
    for fold in folds:
        for entry in _entries(ways, course, fold, seeds[0]):
            _judge(course, fold, seeds[0], entry, rows[entry.name])
        _judge(course, fold, seeds[0], eigenfaces(course, fold), rows[EIGENFACES])
    spread: dict[str, Row] = defaultdict(Row)
    for seed in seeds[1:]:
        for entry in _entries(ways, course, folds[0], seed):
            _judge(course, folds[0], seed, entry, spread[entry.name])
    return {
        "recogniser": name,
        "folds": [fold + 1 for fold in folds],
        "learned_from": _learned_from(course, folds, ways[0].alignment),
        "rows": {row: _figures(row_of) for row, row_of in rows.items()},
        "differences": [_difference(rows, *both) for both in contest.compared if rows.keys() >= set(both)],
        "seeds": {row: _seeds(rows[row], others) for row, others in spread.items()},
    }


def _claim(folder: Path, images: Path, pairs_file: Path, others: Sequence[Path], config: Config) -> None:
    """Write down what a folder's faces and trainings are made from, or check that it is the same as before."""
    settings = {
        "photos": [f"{place.absolute()}: {digest_of_photos(place)}" for place in (images, *others)],
        "pairs": hashlib.sha256(pairs_file.read_bytes()).hexdigest(),
        "settings": config.model_dump(mode="json", include={"decode", "detect"}),
    }
    if other := other_settings(folder / SETTINGS, settings):
        raise WrongUsageError(f"{folder} holds a study of other {next(iter(other))}: choose another folder with --out")


def _entries(ways: Sequence[Way], course: Course, fold: int, seed: int) -> Iterator[Entry]:
    for way in ways:
        yield from way.entries(course, fold, seed)


def _judge(course: Course, fold: int, seed: int, entry: Entry, row: Row) -> None:
    """Judge a contestant on a fold's pairs, and by how it groups all photos of the fold's people."""
    same, here = course.pairs.same, course.pairs.fold == fold
    photos = np.flatnonzero(course.fold_of_photos == fold)
    needed = photos if entry.metric in UNLEARNED else np.flatnonzero(course.fold_of_photos >= 0)
    crops = np.asarray(course.judged.crops(entry.crops, entry.wear)[needed])
    started = time.perf_counter()
    found = entry.embedder.embed(crops)
    row.speeds.append(len(needed) / (time.perf_counter() - started))
    features = np.zeros((len(course.judged.names), found.shape[1]), np.float32)
    features[needed] = found
    pairs, fold_of = course.rows_of_pairs, course.pairs.fold
    similarities = compare_pairs(entry.metric, features, pairs[~here], same[~here], pairs[here], fold_of[~here])
    row.verdicts.append(verdicts_on(similarities, same[here]))
    if entry.metric == "cosine":  # groups come from distances alone
        row.bcubed.append(_grouped(course, fold, seed, entry, features[photos], photos))
    if entry.training is not None:
        row.trainings.append(entry.training)


def _grouped(
    course: Course, fold: int, seed: int, entry: Entry, embeddings: NDArray[np.float32], photos: NDArray[np.intp]
) -> float:
    """Return the BCubed F of a fold's photos, grouped by distances that suit people held out of the training."""
    held_out, person = course.held_out(fold, entry.crops, seed)
    distances = fit_distances(entry.embedder.embed(held_out), person)
    settings = GroupingSettings(link_distance=distances.link, average_distance=distances.average)
    groups = group_faces(embeddings, np.arange(len(photos)), settings).labels
    people = np.array([course.judged.names[photo].partition("/")[0] for photo in photos.tolist()])
    return compare_groups(people, groups).bcubed.f


def _wide(alignment: str) -> Crops:
    return WIDE if alignment == "box" else WIDE._replace(alignment=alignment, fiducials="dlib")


def _figures(row: Row) -> dict[str, Any]:
    right = accuracy(np.concatenate([verdicts.right for verdicts in row.verdicts]))
    return {
        "accuracy": right.mean,
        "se": right.se,
        "auc": statistics.mean(verdicts.auc for verdicts in row.verdicts),
        "tar_at_far_0.01": statistics.mean(verdicts.tar for verdicts in row.verdicts),
        "bcubed_f": statistics.mean(row.bcubed) if row.bcubed else None,
        "faces_per_second": statistics.median(row.speeds),
        **_pace(row.trainings),
    }


def _pace(trainings: Sequence[Path]) -> dict[str, float | None]:
    """Return how long trainings took and how many samples a second they saw: medians."""
    if not trainings:
        return {"seconds": None, "samples_per_second": None}
    reports = [[pq.read_table(file) for file in training.rglob(PROGRESS)] for training in trainings]
    seconds = [sum(report["seconds"][-1].as_py() for report in of_one) for of_one in reports]
    speeds = [
        speed for of_one in reports for report in of_one for speed in report["samples_per_second"].to_pylist() if speed
    ]
    return {"seconds": statistics.median(seconds), "samples_per_second": statistics.median(speeds)}


def _difference(rows: Mapping[str, Row], of: str, over: str) -> dict[str, Any]:
    one, other = (np.concatenate([verdicts.right for verdicts in rows[name].verdicts]) for name in (of, over))
    found = compare(one, other)
    return {"of": of, "over": over, "mean": found.mean, "se": found.se, "clear": found.clear}


def _seeds(first: Row, others: Row) -> dict[str, Any]:
    accuracies = [float(verdicts.right.mean()) for verdicts in (first.verdicts[0], *others.verdicts)]
    return {"accuracies": accuracies, "deviation": statistics.stdev(accuracies)}


def _learned_from(course: Course, folds: Sequence[int], alignment: str) -> list[dict[str, int]]:
    """Return how many faces of how many people there are to learn from without each fold."""
    persons = [np.asarray(course.samples(fold, alignment).arrays()["person"]) for fold in folds]
    known = [person[person != NOBODY] for person in persons]
    return [{"faces": len(person), "people": len(np.unique(person))} for person in known]
