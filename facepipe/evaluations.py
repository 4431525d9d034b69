"""The field's protocols, end to end: photos through the pipeline's own stages, figures from `evaluation`."""

import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.config import Config, MetricName
from facepipe.errors import WrongUsageError
from facepipe.evaluation.clustering import compare_groups
from facepipe.evaluation.copies import make_copies
from facepipe.evaluation.dedup import ORIGINAL, EvaluatedFile, evaluate_groups, false_pairs
from facepipe.evaluation.detection import LEAST_HEIGHTS, evaluate_detections
from facepipe.evaluation.lfw import read_pairs, verify_learned
from facepipe.evaluation.pair_metrics import NEGATIVE_FEATURES, judge_by_fold
from facepipe.labelled_photos import (
    LabelledFaces,
    embed_central_faces,
    finished_batches,
    labelled_faces,
    run_stages,
    undetected,
)
from facepipe.runtime.batches import cut, handed_at
from facepipe.runtime.engine import Engine
from facepipe.sources.scan_sources import list_files, list_sources
from facepipe.sources.uris import path_to_uri, uri_to_path
from facepipe.stage import Stage
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.embed_faces import embedder_name, may_be_negative
from facepipe.stages.find_duplicates import (
    PHOTO_COLUMNS,
    compare_stages,
    comparison_rows,
    find_duplicates,
    photos_to_compare,
    search_copies,
)
from facepipe.stages.group_people import embeddings_of, for_model
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.rows import arrays_of
from facepipe.training.labels import read_boxes


def evaluate_lfw(
    images: Path, pairs_file: Path, config: Config, engine: Engine, metric: MetricName = "cosine"
) -> dict[str, Any]:
    """Return the metric, the figures of LFW's View 2 (`evaluation.lfw.Verification`) and how many photos had no face.

    Args:
        images: the photos, `NAME/NAME_0001.jpg`.
        pairs_file: the pairs, in LFW's format.
        config: settings.
        engine: carries the stages out; closed afterwards.
        metric: what compares two faces (`evaluation.pair_metrics`).

    Raises:
        WrongUsageError: a photo of a pair is missing, the pairs can't be read, or the metric is chi2 and the embedder's
            features may be negative.
    """
    pairs = read_pairs(pairs_file)
    if metric == "chi2" and may_be_negative(config.embed):
        raise WrongUsageError(NEGATIVE_FEATURES)  # said before any photo is read
    named = sorted({*pairs.left, *pairs.right})
    faces = embed_central_faces([images / f"{name}.jpg" for name in named], config, engine)
    place = {name: row for row, name in enumerate(named)}
    embeddings = embeddings_of(faces["embeddings"])  # (photos, D)
    left = embeddings[[place[name] for name in pairs.left]]
    right = embeddings[[place[name] for name in pairs.right]]
    figures = verify_learned(judge_by_fold(metric, left, right, pairs.same, pairs.fold), pairs.same, pairs.fold)
    return {"metric": metric, **asdict(figures), "undetected": undetected(faces)}


def evaluate_clustering(images: Path, config: Config, engine: Engine) -> dict[str, Any]:
    """Return how well the grouping of photos' central faces matches folders (`evaluation.clustering`).

    Args:
        images: a folder a person.
        config: settings.
        engine: carries the stages out; closed afterwards.
    """
    config = config_for_model(config)
    faces = labelled_faces(images, config, engine)
    return clustering_figures(faces, faces.group(np.arange(len(faces.names)), config))


def config_for_model(config: Config) -> Config:
    """Return settings with the distances for grouping that go with the embedder's model."""
    return config.model_copy(update={"group": for_model(config.group, embedder_name(config.embed))})


def clustering_figures(faces: LabelledFaces, labels: np.ndarray) -> dict[str, Any]:
    """Return how well groups (N,) of faces match people, and how many photos had no face found."""
    return asdict(compare_groups(faces.names, labels)) | {"undetected": faces.undetected}


def evaluate_detection(images: Path, boxes_file: Path, config: Config, engine: Engine) -> dict[str, Any]:
    """Return the detector's average precision and recall on labelled boxes (`evaluation.detection`).

    Args:
        images: the folder with the photos that the boxes name.
        boxes_file: CSV with the columns image, x0, y0, x1, y1.
        config: settings.
        engine: carries the stages out; closed afterwards.

    Raises:
        WrongUsageError: the boxes can't be read or name a photo that isn't there.
    """
    truths = read_boxes(boxes_file)
    names = sorted(truths)
    stages: list[list[Stage]] = [[IdentifyFiles(config.decode), ReadPhotos(config.decode), DetectFaces(config.detect)]]
    started = time.time()
    found = run_stages([images / name for name in names], stages, ["boxes", "scores", "handed_at"], config, engine)
    seconds = time.time() - max(handed_at(found), started)
    boxes, scores = arrays_of(found["boxes"], 4), [scores[:, 0] for scores in arrays_of(found["scores"], 1)]
    figures = {
        str(height): evaluate_detections(boxes, scores, [truths[name] for name in names], height)
        for height in LEAST_HEIGHTS
    }
    return {
        "average_precision": {height: at.average_precision for height, at in figures.items()},
        "recall": {height: at.recall for height, at in figures.items()},
        "precision": {height: at.precision for height, at in figures.items()},
        "photos": len(names),
        "faces": sum(len(photo) for photo in truths.values()),
        "photos_per_second": len(names) / seconds,
    }


def evaluate_dedup(
    images: Sequence[Path], photos: int | None, seed: int, config: Config, engine: Engine
) -> dict[str, dict[str, float]]:
    """Return how well copies made from photos are found (`evaluation.dedup`): precision, recall and counts of pairs.

    Args:
        images: folders of photos, searched at every depth.
        photos: so many of them, drawn at random, and a copy of each for every kind of edit; None: all.
        seed: of what is drawn and of how far the edits go.
        config: settings.
        engine: carries the stages out; closed afterwards.

    Raises:
        WrongUsageError: there are no photos, or one can't be decoded.
    """
    rng = random.Random(seed)  # noqa: S311 - nothing secret is drawn
    uris = sorted(set(list_sources([str(folder) for folder in images])["uri"].to_pylist()))
    if not uris:
        raise WrongUsageError(f"{', '.join(map(str, images))} holds no photos: --images needs folders of photos")
    chosen = sorted(rng.sample(uris, min(photos or len(uris), len(uris))))
    with tempfile.TemporaryDirectory() as folder:
        made = _write_copies([uri_to_path(uri) for uri in chosen], Path(folder), rng)
        duplicates = _find_copies([uri_to_path(uri) for uri in made], config, engine)
    found = {row["uri"]: row for row in duplicates.to_pylist()}
    files = []
    for uri, (source, edit, same_pixels) in made.items():
        row = found.get(uri, {"group_id": None, "kind": None, "keeper": False})
        exact = row["keeper"] or row["kind"] == "exact"
        files.append(EvaluatedFile(source, edit, same_pixels, row["group_id"], exact))
    figures: dict[str, dict[str, Any]] = {
        kind: {"precision": figure.precision, "recall": figure.recall, **asdict(figure)}
        for kind, figure in evaluate_groups(files).items()
    }
    wrong = [[files[place].source for place in pair] for pair in false_pairs(files)]
    figures["all"]["false_sources"] = sorted({tuple(sorted(pair)) for pair in wrong})
    return figures


def _write_copies(photos: Sequence[Path], folder: Path, rng: random.Random) -> dict[str, tuple[str, str, bool]]:
    """Return each photo and each copy of it, by uri: the photo's uri, the edit, and whether the pixels are the same."""
    made = {}
    for number, path in enumerate(photos):
        source = path_to_uri(path)
        made[source] = (source, ORIGINAL, True)
        for copy in make_copies(path.read_bytes(), rng):
            file = folder / f"{number}-{copy.edit}{copy.suffix}"
            file.write_bytes(copy.data)
            made[path_to_uri(file)] = (source, copy.edit, copy.same_pixels)
    return made


def _find_copies(paths: Sequence[Path], config: Config, engine: Engine) -> pa.Table:
    """Return the rows of `duplicates` for files, found as `dedup` finds them."""
    try:
        listed = list_files(paths)
        listed = listed.append_column("read_from", listed["uri"])
        batches = cut(listed, config.runtime.batch_rows)
        columns = ["uri", "bytes", "modified_at", "media_type", *PHOTO_COLUMNS]
        stages: list[list[Stage]] = [[IdentifyFiles(config.decode), ReadPhotos(config.decode)]]
        rows = pa.concat_tables(finished_batches(batches, stages, columns, len(listed), engine))
        for name in ("missing_since", "packed"):
            rows = rows.append_column(schemas.FILES.field(name), pa.nulls(len(rows), schemas.FILES.field(name).type))
        files, photos = rows.select(schemas.FILES.names), rows.select(PHOTO_COLUMNS)
        first = photos.group_by("photo_id", use_threads=False).aggregate(
            [(name, "first") for name in PHOTO_COLUMNS[1:]]
        )
        photos = first.rename_columns(PHOTO_COLUMNS)
        comparisons = search_copies(photos, schemas.COMPARISONS.empty_table()).rows
        batches = photos_to_compare(files, comparisons)
        columns = ["photo_id", *schemas.TO_COMPARE.names, *schemas.COMPARED_PHOTO.names]
        total = sum(map(len, batches))
        compared = finished_batches(batches, compare_stages(config.decode), columns, total, engine)
        verdicts = [comparison_rows(batch) for batch in compared]
        return find_duplicates(files, photos, pa.concat_tables([comparisons, *verdicts]))
    finally:
        engine.close()
