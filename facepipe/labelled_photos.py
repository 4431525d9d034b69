"""Photos of people whose names are known, through the pipeline's own stages."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facepipe import schemas
from facepipe.clustering.crowding import crowding
from facepipe.clustering.grouping import group_faces
from facepipe.config import Config, EmbedConfig
from facepipe.errors import WrongUsageError
from facepipe.models.cache import publish
from facepipe.runtime.batches import cut
from facepipe.runtime.engine import Engine
from facepipe.runtime.progress import show_progress
from facepipe.sources.photo_names import is_photo_name
from facepipe.sources.scan_sources import list_files
from facepipe.sources.uris import uri_to_path
from facepipe.stage import Stage, check_chain
from facepipe.stages.align_faces import AlignFaces
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.embed_faces import EmbedFaces, load_cohort
from facepipe.stages.group_people import embeddings_of, settings_of, votes_of
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.measure_faces import MeasureFaces
from facepipe.stages.pick_central_face import PickCentralFace
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.rows import arrays_of


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
    votes = votes_of(one_each(faces["scores"]), one_each(faces["qualities"]), config.group)
    return LabelledFaces(names, embeddings, votes, crowding_levels(embeddings, config.embed), undetected(faces))


def crowding_levels(embeddings: np.ndarray, embed: EmbedConfig) -> np.ndarray:
    """Return how common each face looks, (N,) float64 (`clustering.crowding`); 0 where the model has no cohort."""
    cohort = load_cohort(embed)
    return np.zeros(len(embeddings)) if cohort is None else crowding(embeddings, cohort.vectors, cohort.usual)


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
    written = pa.BufferOutputStream()
    pq.write_table(found, written)
    publish(file, written.getvalue().to_pybytes())


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
        rows = pa.concat_tables(finished_batches(batches, stages, ["uri", *columns], len(listed), engine, failed))
    finally:
        engine.close()
    order = pc.index_in(listed["uri"].combine_chunks(), rows["uri"].combine_chunks())
    return rows.take(order.drop_null())


def finished_batches(
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
    """Return the photos in a folder a person, in order of their paths; hidden files and folders hold none."""
    paths = sorted(path for path in images.glob("[!.]*/[!.]*") if is_photo_name(path.name))
    if not paths:
        raise WrongUsageError(f"{images} holds no photos: it should hold a folder a person")
    return paths


def digest_of_photos(images: Path) -> str:
    """Return what tells a folder a person from another, or from itself after photos came or went: names and sizes.

    Raises:
        WrongUsageError: there are no photos.
    """
    digest = hashlib.sha256()
    for path in photos_in(images):
        digest.update(
            f"{path.relative_to(images).as_posix()}\0{path.stat().st_size}\0".encode(errors="surrogateescape")
        )
    return digest.hexdigest()


def one_each(column: pa.ChunkedArray) -> np.ndarray:
    """Return a number a photo, (N,) float32, of lists of one number or none; NaN for none."""
    return np.array([row[0] if row else np.nan for row in column.to_pylist()], np.float32)


def undetected(faces: pa.Table) -> int:
    """Return on how many photos no face was found (`embed_central_faces`)."""
    return int(sum(float(scores[0, 0]) == 0 for scores in arrays_of(faces["scores"], 1)))
