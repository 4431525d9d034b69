"""The field's protocols, end to end: photos through the pipeline's own stages, figures from `evaluation`."""

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facepipe import schemas
from facepipe.alignment.factorization import shape_of_faces
from facepipe.clustering.crowding import crowding, make_cohort
from facepipe.clustering.grouping import group_faces
from facepipe.config import Config, EmbedConfig, MetricName
from facepipe.errors import WrongUsageError
from facepipe.evaluation.clustering import compare_groups
from facepipe.evaluation.copies import make_copies
from facepipe.evaluation.dedup import ORIGINAL, EvaluatedFile, evaluate_groups, false_pairs
from facepipe.evaluation.detection import LEAST_HEIGHTS, evaluate_detections
from facepipe.evaluation.lfw import read_pairs, verify_learned
from facepipe.evaluation.pair_metrics import NEGATIVE_FEATURES, judge_by_fold
from facepipe.evaluation.spread_fit import fit_spread
from facepipe.models.cohort import Cohort
from facepipe.models.face_shape import FaceShape
from facepipe.models.face_spread import FaceSpread
from facepipe.runtime.batches import cut, handed_at
from facepipe.runtime.engine import Engine
from facepipe.runtime.progress import show_progress
from facepipe.sources.scan_sources import list_files, list_sources
from facepipe.sources.uris import path_to_uri, uri_to_path
from facepipe.stage import Stage, check_chain
from facepipe.stages.align_faces import AlignFaces
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.embed_faces import EmbedFaces, embedder_name, load_cohort, may_be_negative
from facepipe.stages.find_duplicates import (
    PHOTO_COLUMNS,
    compare_stages,
    comparison_rows,
    find_duplicates,
    photos_to_compare,
    search_copies,
)
from facepipe.stages.find_fiducials import FindFiducials
from facepipe.stages.group_people import embeddings_of, for_model, settings_of, votes_of
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.measure_faces import MeasureFaces
from facepipe.stages.pick_central_face import PickCentralFace, central_face
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.rows import arrays_of
from facepipe.training.labels import read_boxes

JUNK_SCORE = 0.5  # what a detector scores lower is hardly ever a face


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
    return {"metric": metric, **asdict(figures), "undetected": _undetected(faces)}


class LabelledFaces(NamedTuple):
    """The central faces of photos that lie in a folder a person.

    Attributes:
        names: (N,) who each face is.
        embeddings: (N, D) float32, unit length.
        votes: (N,) bool, which are found surely enough to form people.
        crowding: (N,) float64, how common each looks (`clustering.crowding`); 0 where the model has no cohort.
        undetected: photos without a face.
    """

    names: npt.NDArray[np.str_]
    embeddings: np.ndarray
    votes: np.ndarray
    crowding: np.ndarray
    undetected: int

    def group(self, rows: np.ndarray, config: Config) -> np.ndarray:
        """Return the person (M,) of each of some faces, -1 for none, where there are no others."""
        crowded = config.group.crowding_weight * self.crowding[rows]
        settings = settings_of(config.group)
        return group_faces(self.embeddings[rows], np.arange(len(rows)), settings, self.votes[rows], crowded).labels


def labelled_faces(images: Path, config: Config, engine: Engine) -> LabelledFaces:
    """Return the central face of each photo in a folder a person, in order of their paths.

    Args:
        images: a folder a person.
        config: settings.
        engine: carries the stages out; closed afterwards.
    """
    paths = photos_in(images)
    faces = embed_central_faces(paths, config, engine)
    names = np.array([path.parent.name for path in paths])
    embeddings = embeddings_of(faces["embeddings"])
    votes = votes_of(_one_each(faces["scores"]), _one_each(faces["qualities"]), config.group)
    return LabelledFaces(names, embeddings, votes, crowding_levels(embeddings, config.embed), _undetected(faces))


def crowding_levels(embeddings: np.ndarray, embed: EmbedConfig) -> np.ndarray:
    """Return how common each face looks, (N,) float64 (`clustering.crowding`); 0 where the model has no cohort."""
    cohort = load_cohort(embed)
    return np.zeros(len(embeddings)) if cohort is None else crowding(embeddings, cohort.vectors, cohort.usual)


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


def mean_of_people(images: Path, config: Config, engine: Engine) -> np.ndarray:
    """Return a model's mean embedding, (D,) float32: the mean over people of the mean over each one's photos.

    So a person of many photos weighs no more than one of few.

    Args:
        images: a folder a person; the central face of each photo counts.
        config: settings.
        engine: carries the stages out; closed afterwards.
    """
    paths = photos_in(images)
    uncentred = config.model_copy(update={"embed": config.embed.model_copy(update={"centre": False})})
    embeddings = embeddings_of(embed_central_faces(paths, uncentred, engine)["embeddings"]).astype(np.float64)
    people, person = np.unique([path.parent.name for path in paths], return_inverse=True)
    sums = np.zeros((len(people), embeddings.shape[1]))
    np.add.at(sums, person, embeddings)
    mean: np.ndarray = (sums / np.bincount(person)[:, None]).mean(axis=0).astype(np.float32)
    return mean


def cohort_of_people(images: Path, size: int, config: Config, engine: Engine) -> Cohort:
    """Return a cohort made of people's faces (`clustering.crowding`).

    Args:
        images: a folder a person; the central face of each one's first photo counts.
        size: how many vectors.
        config: settings.
        engine: carries the stages out; closed afterwards.

    Raises:
        WrongUsageError: there are too few people.
    """
    first_photos = [next(photos) for _, photos in groupby(photos_in(images), key=lambda path: path.parent)]
    if len(first_photos) < 2 * size:
        raise WrongUsageError(
            f"{images} holds {len(first_photos)} people: a cohort of {size} takes at least {2 * size}"
        )
    embeddings = embeddings_of(embed_central_faces(first_photos, config, engine)["embeddings"])
    return Cohort(*make_cohort(embeddings, size))


def spread_of_people(images: Path, config: Config, engine: Engine) -> FaceSpread:
    """Return how a model's faces spread (`evaluation.spread_fit`), and its junk: detections below JUNK_SCORE.

    Args:
        images: a folder a person, who is the central face of each photo.
        config: settings.
        engine: carries the stages out; closed afterwards.

    Raises:
        WrongUsageError: there are too few photos or people.
    """
    paths = photos_in(images)
    stages: list[list[Stage]] = [
        [IdentifyFiles(config.decode), ReadPhotos(config.decode), DetectFaces(config.detect), AlignFaces(config.embed)],
        [EmbedFaces(config.embed)],
    ]
    columns = ["boxes", "scores", "width", "height", "embeddings"]
    found = run_stages(paths, stages, columns, config, engine)
    sizes = np.stack([found["width"].to_numpy(), found["height"].to_numpy()], axis=1).astype(np.float64)
    boxes_of, scores_of = arrays_of(found["boxes"], 4), arrays_of(found["scores"], 1)
    per_photo = zip(paths, sizes, boxes_of, scores_of, arrays_of(found["embeddings"], 1), strict=True)
    central, people, junk = [], [], []
    for path, size, boxes, scores, numbers in per_photo:
        if not len(boxes):
            continue
        embeddings = numbers.reshape(len(boxes), -1)  # (F, D)
        central.append(embeddings[central_face(boxes, scores[:, 0], size, config.group.min_score)])
        people.append(path.parent.name)
        junk.append(embeddings[scores[:, 0] < JUNK_SCORE])
    if not central:
        raise WrongUsageError(f"no face was found on the photos in {images}: a face spread is fitted to faces")
    return fit_spread(np.array(central), np.array(people), np.concatenate(junk))


def shape_of_people(images: Path, config: Config, engine: Engine) -> FaceShape:
    """Return the generic shape of faces (`alignment.factorization`), from 68 points of each photo's central face.

    Args:
        images: a folder a person.
        config: settings.
        engine: carries the stages out; closed afterwards.

    Raises:
        WrongUsageError: dlib is not installed.
        WeightsError: its weights are missing.
        FacepipeError: there are too few faces, or all look one way.
    """
    stages: list[list[Stage]] = [
        [
            IdentifyFiles(config.decode),
            ReadPhotos(config.decode),
            *central_face_stages(config),
            FindFiducials("dlib"),
        ]
    ]
    found = run_stages(photos_in(images), stages, ["scores", "points"], config, engine)
    points = np.concatenate(arrays_of(found["points"], 136)).reshape(-1, 68, 2).astype(np.float64)
    return shape_of_faces(points[_one_each(found["scores"]) > 0])


def central_face_stages(config: Config) -> list[Stage]:
    """Return the stages that find a decoded photo's central face."""
    return [DetectFaces(config.detect), PickCentralFace(config.group.min_score)]


def find_central_faces(paths: Sequence[Path], file: Path, config: Config, engine: Engine) -> None:
    """Write box, score and landmarks of each photo's central face into a Parquet file (`stages.recall_faces`).

    Args:
        paths: of the photos.
        file: to be written; if it is there, it is left as it is.
        config: settings.
        engine: carries the stages out; closed afterwards.
    """
    if file.exists():
        engine.close()
        return
    stages: list[list[Stage]] = [
        [IdentifyFiles(config.decode), ReadPhotos(config.decode), *central_face_stages(config)]
    ]
    found = run_stages(paths, stages, schemas.DETECTED_FACES.names, config, engine, failed=[])
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    pq.write_table(found, partial)
    partial.rename(file)


def embed_central_faces(paths: Sequence[Path], config: Config, engine: Engine) -> pa.Table:
    """Return box, score, landmarks, quality and embedding of each photo's central face, in the order of the paths.

    A photo without a face has score 0, no landmarks, no quality and the embedding of its central part.
    """
    stages: list[list[Stage]] = [
        [
            IdentifyFiles(config.decode),
            ReadPhotos(config.decode),
            *central_face_stages(config),
            MeasureFaces(),
            AlignFaces(config.embed),
        ],
        [EmbedFaces(config.embed)],
    ]
    return run_stages(paths, stages, ["boxes", "scores", "landmarks", "qualities", "embeddings"], config, engine)


def _one_each(column: pa.ChunkedArray) -> np.ndarray:
    """Return a number a photo, (N,) float32, of lists of one number or none; NaN for none."""
    return np.array([row[0] if row else np.nan for row in column.to_pylist()], np.float32)


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
        rows = pa.concat_tables(_finished(batches, stages, columns, len(listed), engine))
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
        compared = _finished(batches, compare_stages(config.decode), columns, total, engine)
        verdicts = [comparison_rows(batch) for batch in compared]
        return find_duplicates(files, photos, pa.concat_tables([comparisons, *verdicts]))
    finally:
        engine.close()


def run_stages(
    paths: Sequence[Path],
    stages: list[list[Stage]],
    columns: Sequence[str],
    config: Config,
    engine: Engine,
    failed: list[str] | None = None,
) -> pa.Table:
    """Return columns of what the stages make of photos, in the order of the paths.

    Args:
        paths: of the photos.
        stages: groups of them.
        columns: of the result; `uri` comes first, in any case.
        config: settings.
        engine: carries the stages out; closed afterwards.
        failed: takes a sentence of each photo that fails, which is then left out.

    Raises:
        WrongUsageError: a photo fails, and `failed` is None.
    """
    listed = list_files(paths)
    listed = listed.append_column("read_from", listed["uri"])
    check_chain([stage for group in stages for stage in group], listed.schema)
    batches = cut(listed, config.runtime.batch_rows)
    try:
        rows = pa.concat_tables(_finished(batches, stages, ["uri", *columns], len(listed), engine, failed))
    finally:
        engine.close()
    order = pc.index_in(listed["uri"].combine_chunks(), rows["uri"].combine_chunks())
    return rows.take(order.drop_null())


def _finished(
    batches: Sequence[pa.Table],
    stages: list[list[Stage]],
    columns: Sequence[str],
    total: int,
    engine: Engine,
    failed: list[str] | None = None,
) -> Iterator[pa.Table]:
    """Yield columns of finished batches; a photo that fails is an error, or a sentence in `failed`."""
    with show_progress("eval", "photos", total) as progress:
        for batch in engine.run(batches, stages):
            good = pc.equal(batch["status"], "")
            sentences = [
                f"{uri_to_path(row['uri'])} can't be used: {row['message']}"
                for row in batch.filter(pc.invert(good)).select(["uri", "message"]).to_pylist()
            ]
            if sentences and failed is None:
                raise WrongUsageError(sentences[0])
            if failed is not None:
                failed += sentences
            yield batch.filter(good).select(columns)
            progress.advance(len(batch))


def photos_in(images: Path) -> list[Path]:
    """Return the photos in a folder a person, in order of their paths."""
    paths = sorted(path for path in images.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not paths:
        raise WrongUsageError(f"{images} holds no photos: it should hold a folder a person")
    return paths


def _undetected(faces: pa.Table) -> int:
    return int(sum(float(scores[0, 0]) == 0 for scores in arrays_of(faces["scores"], 1)))
