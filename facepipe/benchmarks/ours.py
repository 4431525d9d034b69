"""This project as a contestant: its parts alone, all parts one after the other, and the whole of `extract`."""

import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import ClassVar

import numpy as np

from facepipe import pipeline
from facepipe.alignment.box_crop import display_crop
from facepipe.benchmarks.contest import Round, timed
from facepipe.benchmarks.work import Work, limit_threads
from facepipe.config import Config
from facepipe.detectors.mtcnn import MTCNN
from facepipe.embedders.embedder import Embedder
from facepipe.imaging.decode import decode_photo
from facepipe.library.library import Library
from facepipe.runtime.engine import Engine, EngineName, create_engine
from facepipe.stages.align_faces import crops_for, cutter
from facepipe.stages.embed_faces import load_embedder

OURS = "facepipe"


@dataclass(frozen=True)
class Embedding:
    """The embedder on crops that lie in memory."""

    work: Work
    name: ClassVar[str] = OURS

    def open(self) -> Round:
        """Return a round: one embedding for each crop."""
        limit_threads(self.work.threads)
        embedder = _embedder(self.work.config)
        embedder.embed(self.work.crops[:64])
        return timed(lambda: embedder.embed(self.work.crops))


@dataclass(frozen=True)
class Detection:
    """The detector on photos that lie in memory, in batches as `extract` makes them."""

    work: Work
    name: ClassVar[str] = OURS

    def open(self) -> Round:
        """Return a round: the faces of each photo."""
        limit_threads(self.work.threads)
        detector = _detector(self.work.config)
        rows = self.work.config.runtime.batch_rows
        images = [np.asarray(picture) for picture in self.work.pictures]
        batches = [images[start : start + rows] for start in range(0, len(images), rows)]
        detector.detect(batches[0])
        return timed(lambda: [detector.detect(batch) for batch in batches])


@dataclass(frozen=True)
class Decoding:
    """The decoder on files' bytes that lie in memory."""

    work: Work
    name: ClassVar[str] = OURS

    def open(self) -> Round:
        """Return a round: each photo's upright pixels, no larger than `decode.max_side`."""
        limit_threads(self.work.threads)
        files = [path.read_bytes() for path in self.work.paths]
        decode = self.work.config.decode
        return timed(lambda: [decode_photo(data, decode.max_side, decode.max_pixels) for data in files])


@dataclass(frozen=True)
class BareStages:
    """What `extract` computes, as plain loops of one process over batches: no Ray, no Arrow, no tables."""

    work: Work
    name: ClassVar[str] = "bare stages"

    def open(self) -> Round:
        """Return a round: read, decode, detect, cut out and embed."""
        limit_threads(self.work.threads)
        detector, embedder = _detector(self.work.config), _embedder(self.work.config)
        cut = cutter(crops_for(self.work.config.embed))
        rows = self.work.config.runtime.batch_rows
        batches = [self.work.paths[start : start + rows] for start in range(0, len(self.work.paths), rows)]

        def extract(paths: Sequence[Path]) -> None:
            decode, photos = self.work.config.decode, []
            for path in paths:
                data = path.read_bytes()
                hashlib.sha256(data).hexdigest()
                photos.append(decode_photo(data, decode.max_side, decode.max_pixels))
            scales = [max(photo.pixels.shape[:2]) / max(photo.width, photo.height) for photo in photos]
            crops = []
            for photo, faces in zip(photos, detector.detect([photo.pixels for photo in photos], scales), strict=True):
                crops.append(cut(photo.pixels, faces.boxes, faces.landmarks))
                for box in faces.boxes:
                    display_crop(photo.pixels, box)
            embedder.embed(np.concatenate(crops))

        def extract_all() -> None:
            for paths in batches:
                extract(paths)

        extract(batches[0])
        return timed(extract_all)


@dataclass(frozen=True)
class Extraction:
    """`extract` into a new library, its engine started before: from the first photo handed to opened stages on."""

    work: Work
    engine: EngineName
    name: ClassVar[str] = OURS

    def open(self) -> Round:
        """Return a round: the seconds of the step `extract`, for which loading models and starting Ray don't count."""
        engine = create_engine(self.engine, None)
        folder = tempfile.TemporaryDirectory(prefix="facepipe-bench-")
        links = Path(folder.name) / "photos"
        links.mkdir()
        for index, path in enumerate(self.work.paths):
            (links / f"{index:06d}{path.suffix}").symlink_to(path.absolute())

        def do_round() -> float:
            with tempfile.TemporaryDirectory(dir=folder.name) as location:
                return _extract_seconds(links, location, engine, self.work.config)

        do_round()
        return do_round


def _extract_seconds(photos: Path, location: str, engine: Engine, config: Config) -> float:
    library = Library.create_or_open(f"{location}/library")
    with redirect_stderr(StringIO()), pipeline.open_job(library, engine, config, "bench") as job:  # hides its progress
        pipeline.ingest(job, [str(photos)])
        pipeline.extract(job)
    return job.record.steps["extract"].seconds


def _detector(config: Config) -> MTCNN:
    return MTCNN.load(min_face=config.detect.min_face, thresholds=config.detect.thresholds, factor=config.detect.factor)


def _embedder(config: Config) -> Embedder:
    return load_embedder(config.embed)
