"""What face quality is fitted to and judged by: photos, copies of them made worse, and what their faces still match.

Copies are files, so that they take the way of all photos: read, detected anew, cropped and embedded by the same stages.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from facepipe.config import Config
from facepipe.errors import WrongUsageError
from facepipe.evaluation.degrade import degrade
from facepipe.evaluation.lfw import read_pairs
from facepipe.evaluation.quality import (
    calibration,
    errors_after_reject,
    fit_quality,
    match_survival,
    rank_correlation,
    threshold_at,
)
from facepipe.imaging.boxes import iou
from facepipe.imaging.decode import decode_photo
from facepipe.labelled_photos import embed_central_faces, photos_in
from facepipe.models.face_quality import MEASURES, FaceQuality
from facepipe.runtime.engine import Engine
from facepipe.stages.group_people import embeddings_of
from facepipe.stages.measure_faces import measure_faces
from facepipe.stages.pixels import PhotoPixels
from facepipe.stages.rows import arrays_of

MOST_PHOTOS, MOST_OF_A_PERSON, COPIES = 800, 4, 3  # of a fit: three thousand embeddings
FALSE_MATCH_RATE = 0.001  # at which a match must survive: what a grouping of many faces needs
LEAST_OVERLAP = 0.3  # (IoU) with where the face must lie: what is found elsewhere on a copy is another face, or none
REJECTED = (0.0, 0.05, 0.1, 0.2, 0.3)

Photo = npt.NDArray[np.uint8]


class Faces(NamedTuple):
    """The central faces of photos, those where one was found.

    Attributes:
        photo: (N,) int64, index of each face's photo.
        boxes: (N, 4) pixels of the decoded photo.
        embeddings: (N, D) unit length.
        measures: (N,) for each of `models.face_quality.MEASURES`.
    """

    photo: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    embeddings: npt.NDArray[np.float32]
    measures: Mapping[str, np.ndarray]

    def take(self, rows: np.ndarray) -> "Faces":
        """Return some of the faces, by index or by (N,) bool."""
        measures = {name: values[rows] for name, values in self.measures.items()}
        return Faces(self.photo[rows], self.boxes[rows], self.embeddings[rows], measures)


def study_quality(images: Path, config: Config, engine: Engine, seed: int) -> tuple[FaceQuality, dict[str, Any]]:
    """Return a quality fitted to photos of people, and figures of the fit.

    Up to 800 photos of people with several, and three copies of each made worse. What is foretold is the share of the
    person's other photos that a face still matches, at a threshold at which one in a thousand pairs of two people does.

    Args:
        images: a folder a person.
        config: settings.
        engine: carries the stages out; closed afterwards.
        seed: of the choice of photos and of what is done to them.

    Raises:
        WrongUsageError: there are too few people with several photos.
    """
    paths = _several_of_each(photos_in(images), seed)
    people = np.array([path.parent.name for path in paths])
    if len(np.unique(people)) < 2:
        raise WrongUsageError(f"{images} is too small: at least two people need two photos each")
    originals = _find_faces(paths, config, engine)
    originals = originals.take(np.isin(people[originals.photo], _repeated(people[originals.photo])))
    shown = people[originals.photo]
    if len(np.unique(shown)) < 2:
        raise WrongUsageError(f"{images} is too small: at least two people need two photos on which a face is found")
    threshold = threshold_at(originals.embeddings, shown, FALSE_MATCH_RATE)
    copies = _find_copies(paths, originals, COPIES, config, engine, seed)
    measures = {name: np.concatenate([originals.measures[name], copies.measures[name]]) for name in MEASURES}
    survival = match_survival(
        np.concatenate([originals.embeddings, copies.embeddings]),
        np.concatenate([np.arange(len(shown)), copies.photo]),
        shown,
        originals.embeddings,
        threshold,
    )
    quality = fit_quality(measures, survival)
    return quality, {
        "people": len(np.unique(shown)),
        "photos": len(shown),
        "copies": len(copies.photo),
        "undetected": COPIES * len(shown) - len(copies.photo),
        "threshold": threshold,
        "mean_survival": float(survival.mean()),
        "rank_correlation": rank_correlation(quality(measures), survival),
        "calibration": calibration(quality(measures), survival),
    }


def evaluate_quality(
    images: Path, pairs_file: Path, quality: FaceQuality, config: Config, engine: Engine, seed: int
) -> dict[str, Any]:
    """Return how well quality foretells what photos made worse still match, beside the score and the sharpness alone.

    Args:
        images: the photos, `NAME/NAME_0001.jpg`.
        pairs_file: pairs in LFW's format; those of one person count.
        quality: to be judged.
        config: settings.
        engine: carries the stages out; closed afterwards.
        seed: of what is done to the photos.

    Returns:
        `rank_correlation` with the similarity to the original. `false_non_match`: of a copy with the original of the
        pair's other photo; `false_match`: of copies of two people; both at the threshold at which one in a thousand
        pairs of two people's originals match, for each share of the worst copies (or pairs) left out. `calibration`.

    Raises:
        WrongUsageError: a photo of a pair is missing, the pairs can't be read, or no face is found on them.
    """
    pairs = read_pairs(pairs_file)
    same = np.flatnonzero(pairs.same)
    named = sorted({pair[row] for pair in (pairs.left, pairs.right) for row in same})
    paths = [images / f"{name}.jpg" for name in named]
    people = np.array([path.parent.name for path in paths])
    originals = _find_faces(paths, config, engine)
    shown = people[originals.photo]
    threshold = threshold_at(originals.embeddings, shown, FALSE_MATCH_RATE)
    copies = _find_copies(paths, originals, 1, config, engine, seed)
    kept = (copies.embeddings * originals.embeddings[copies.photo]).sum(axis=1)  # similarity to the original
    ways = {"quality": quality(copies.measures), **{name: copies.measures[name] for name in ("score", "sharpness")}}

    original_of = {named[photo]: row for row, photo in enumerate(originals.photo)}
    copy_of = {named[originals.photo[original]]: row for row, original in enumerate(copies.photo)}
    ends = [pair for row in same for pair in ((pairs.left[row], pairs.right[row]), (pairs.right[row], pairs.left[row]))]
    mates = np.array([(copy_of[one], original_of[two]) for one, two in ends if one in copy_of and two in original_of])
    if not len(mates):
        raise WrongUsageError(f"no pair of {pairs_file} has a face on both photos")
    missed = (copies.embeddings[mates[:, 0]] * originals.embeddings[mates[:, 1]]).sum(axis=1) < threshold
    first, second = np.triu_indices(len(copies.photo), 1)
    strangers = shown[copies.photo[first]] != shown[copies.photo[second]]
    first, second = first[strangers], second[strangers]
    mistaken = (copies.embeddings @ copies.embeddings.T)[first, second] >= threshold
    survival = match_survival(copies.embeddings, copies.photo, shown, originals.embeddings, threshold)
    return {
        "photos": len(shown),
        "undetected": len(shown) - len(copies.photo),
        "threshold": threshold,
        "rank_correlation": {name: rank_correlation(values, kept) for name, values in ways.items()},
        "false_non_match": {
            name: errors_after_reject(values[mates[:, 0]], missed, REJECTED) for name, values in ways.items()
        },
        "false_match": {
            name: errors_after_reject(np.minimum(values[first], values[second]), mistaken, REJECTED)
            for name, values in ways.items()
        },
        "calibration": calibration(ways["quality"], survival),
    }


def _several_of_each(paths: Sequence[Path], seed: int) -> list[Path]:
    """Return up to four photos of each person that has several, people in random order, up to 800 in all."""
    rng = np.random.default_rng(seed)
    photos: dict[str, list[Path]] = {}
    for path in paths:
        photos.setdefault(path.parent.name, []).append(path)
    several = [own for own in photos.values() if len(own) > 1]
    chosen = [
        own[index]
        for person in rng.permutation(len(several))
        for own in [several[person]]
        for index in sorted(rng.permutation(len(own))[:MOST_OF_A_PERSON])
    ]
    return chosen[:MOST_PHOTOS]


def _repeated(people: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    names, counts = np.unique(people, return_counts=True)
    return names[counts > 1]


def _find_faces(paths: Sequence[Path], config: Config, engine: Engine) -> Faces:
    """Return the photos' central faces, embedded and measured."""
    table = embed_central_faces(paths, config, engine)
    scores, boxes = np.concatenate(arrays_of(table["scores"], 1))[:, 0], np.concatenate(arrays_of(table["boxes"], 4))
    found = np.flatnonzero(scores > 0)
    landmarks = [points.reshape(-1, 5, 2) for points in arrays_of(table["landmarks"], 10)]
    rows: list[dict[str, np.ndarray]] = []
    for index in found.tolist():
        photo = _decoded(paths[index], config)
        boxes[index] *= photo.scale
        whole = PhotoPixels(photo.pixels, 1.0)
        points = landmarks[index] * np.float32(photo.scale) if len(landmarks[index]) else None
        rows.append(measure_faces(whole, boxes[index : index + 1], scores[index : index + 1], points))
    measures = {name: np.concatenate([np.zeros(0), *(row[name] for row in rows)]) for name in MEASURES}
    return Faces(found, boxes[found], embeddings_of(table["embeddings"])[found], measures)


def _find_copies(
    paths: Sequence[Path], originals: Faces, copies: int, config: Config, engine: Engine, seed: int
) -> Faces:
    """Return the faces of degraded copies where they were found again; `photo` is the index of the original face."""
    expected, of_original, files = [], [], []
    sure = config.model_copy(update={"group": config.group.model_copy(update={"min_score": 0.0})})
    with tempfile.TemporaryDirectory(prefix="facepipe-copies-") as folder:
        for original, photo in enumerate(originals.photo.tolist()):
            pixels = _decoded(paths[photo], config).pixels
            for copy in range(copies):
                worse = degrade(pixels, originals.boxes[original], np.random.default_rng([seed, original, copy]))
                files.append(Path(folder) / f"{original}-{copy}.png")
                Image.fromarray(np.ascontiguousarray(worse.pixels)).save(files[-1], compress_level=1)
                expected.append(worse.box)
                of_original.append(original)
        faces = _find_faces(files, sure, engine)
    there = np.array(
        [
            iou(np.asarray(expected[row])[None], box[None])[0, 0] >= LEAST_OVERLAP
            for row, box in zip(faces.photo, faces.boxes, strict=True)
        ],
        bool,
    )
    return faces._replace(photo=np.array(of_original, np.int64)[faces.photo]).take(there)


def _decoded(path: Path, config: Config) -> PhotoPixels:
    photo = decode_photo(path.read_bytes(), config.decode.max_side, config.decode.max_pixels)
    return PhotoPixels(photo.pixels, photo.pixels.shape[1] / photo.width)
