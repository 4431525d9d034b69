"""The detector by oriented gradients is trained: a codebook, a classifier with rounds of hard background, calibration.

Source: Cerna, Cámara-Chávez and Menotti, "Face Detection: Histogram of Oriented Gradients and Bag of Feature Method",
IPCV 2013; hard background by Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005,
section 4: what a first classifier takes for faces joins the background of the next one.

Departs from the paper: up to five such rounds rather than none; faces are turned, mirrored and made coarser.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from facepipe.detectors.hog.codebook import Codebook, picture_blocks
from facepipe.detectors.hog.detector import HOG
from facepipe.detectors.hog.model import HogModel
from facepipe.errors import TrainingError, WrongUsageError
from facepipe.evaluation.detection import match_photo
from facepipe.training.calibration import calibrate
from facepipe.training.hog_classifier import train_classifier, train_codebook, train_places
from facepipe.training.hog_windows import (
    LEAST_FACE,
    NEAR,
    WIDE,
    Shape,
    background_anywhere,
    background_taken_for_faces,
    windows_near_faces,
    words_of_pictures,
)
from facepipe.training.labels import Labels
from facepipe.training.photos import FacesOnPhoto, Variation, varied_photos
from facepipe.training.recipe import Fit, TrainingOptions
from facepipe.training.samples import Arrays, Samples, SampleWriter
from facepipe.training.sources import hash_seed
from facepipe.training.windows import targets

Floats = NDArray[np.float32]
State = dict[str, torch.Tensor]

FACE_SHARE = 1 / 1.4  # of a window's side that a face's height is: what is around it counts
CELLS = 10  # a side of the window
WINDOWS_A_FACE = 3  # in each pass over the photos; as many again stray wider and teach where faces lie
FACES = 12_000  # windows of faces that each source shows
MOST_PASSES = 12
BLOCKS = 100_000  # descriptors, of faces and of background, among which words are found
BACKGROUND_PHOTOS = 500  # of each source in each round
ANYWHERE_A_LEVEL = 8
MISTAKEN_A_PHOTO = 100
HELD_OUT_OF = 4  # one photo in so many calibrates scores
CALIBRATED_FROM = -1.5  # margin of detections that calibrate scores
MOST_ROUNDS = 5


@dataclass(frozen=True)
class HogOptions(TrainingOptions):
    """What can be chosen.

    Attributes:
        words: of the codebook.
        cell: its side in pixels.
        rounds: of hard background, 0 to 5.
    """

    variation: Variation = field(default_factory=lambda: Variation(turn=8.0, worsen=0.05, grey=0.0))
    words: int = 256
    cell: int = 5
    rounds: int = 3

    @property
    def shape(self) -> Shape:
        """The window's shape."""
        return Shape(self.cell, CELLS, FACE_SHARE)


def train_hog(sources: Sequence[Labels], folder: Path, options: HogOptions, fit: Fit) -> State:
    """Return the state dict of a `HogModel`.

    Args:
        sources: labelled photos; landmarks teach nothing.
        folder: for the codebook and for windows as words; what is there already is not done again.
        options: see there.
        fit: is told how far the training is.

    Raises:
        WrongUsageError: an option has no meaning here, or is out of range.
        TrainingError: no face is large enough to learn from.
    """
    if options.learning_rate is not None:
        raise WrongUsageError("hog is trained without steps: leave out --learning-rate")
    if not 0 <= options.rounds <= MOST_ROUNDS or options.words < 2 or options.cell < 2:
        raise WrongUsageError(f"hog needs at least 2 words, cells of 2 pixels, and 0 to {MOST_ROUNDS} rounds")
    codebook = _codebook(sources, folder / "codebook.npy", options, fit)
    faces = Samples(folder / "faces")
    if not faces.exists():
        _collect_faces(sources, faces, codebook, options, fit)
    rows = faces.arrays()
    fit.say("learning where faces lie in windows")
    mean, tables = train_places(rows["words"], rows["places"], options.words)
    blocks = CELLS - 1
    model = HogModel(options.cell, codebook, np.zeros((blocks, blocks, options.words), np.float32), 0.0, mean, tables)
    background: list[Samples] = []
    for number in range(options.rounds + 1):
        samples = Samples(folder / f"background{number}")
        if not samples.exists():
            _collect_background(sources, samples, model, number, options, fit)
        background.append(samples)
        fit.say(f"classifier {number + 1} of {options.rounds + 1}")
        model = _classified(model, rows, background)
    fit.say("calibrating scores on photos that were held out")
    slope, intercept = _calibration(sources, _classified(model, rows, background, without_held_out=True))
    return replace(model, slope=slope, intercept=intercept).to_state()


def held_out(number: int) -> bool:
    """Return whether a photo of a source, by its number, is among those that calibrate scores."""
    return number % HELD_OUT_OF == HELD_OUT_OF // 2


def _passes(
    sources: Sequence[Labels], options: HogOptions, kind: int, name: str, fit: Fit
) -> Iterator[tuple[int, FacesOnPhoto, np.random.Generator]]:
    """Yield photos with their numbers, upright, as often as each source needs to show FACES windows of faces."""
    variation = replace(options.variation, turn=0.0)
    for source, labels in enumerate(sources):
        count = sum(int((photo.boxes[:, 3] - photo.boxes[:, 1] >= LEAST_FACE).sum()) for photo in labels.photos)
        wanted = options.faces_of(FACES) / max(count * WINDOWS_A_FACE, 1)
        passes = min(max(1, round(wanted)), MOST_PASSES)
        for index in range(passes):
            seed = hash_seed(options.seed, kind, source, index)
            for number, photo, rng in varied_photos(labels.photos, variation, seed):
                yield number, photo, rng
                if number % 16 == 0:
                    done, total = index * len(labels.photos) + number, passes * len(labels.photos)
                    fit.say(f"{name}: {done:,} of {total:,} photos of source {source + 1} of {len(sources)}")


def _codebook(sources: Sequence[Labels], file: Path, options: HogOptions, fit: Fit) -> Codebook:
    """Return the codebook of descriptors half of which are of faces, from a file where they are known already."""
    if not file.exists():
        of_faces: list[Floats] = []
        of_background: list[Floats] = []
        few = replace(options, effort=min(options.effort, 1.0) / 4)
        for _, photo, rng in _passes(sources, few, 0, "blocks of faces and background", fit):
            windows = windows_near_faces(photo, options.shape, 1, NEAR, options.variation.turn, rng)
            for picture in windows.pictures:
                blocks = picture_blocks(picture, options.cell)[1:-1, 1:-1]
                of_faces.append(blocks.reshape(-1, blocks.shape[2]))
            of_background.append(_blocks_anywhere(photo, options.cell, rng))
        if not of_faces:
            raise TrainingError(f"no face is at least {LEAST_FACE:.0f} pixels high: there is nothing to learn from")
        fit.say(f"finding {options.words} words")
        rng = np.random.default_rng(hash_seed(options.seed, 1))
        blocks = np.concatenate([_some(np.concatenate(part), BLOCKS // 2, rng) for part in (of_faces, of_background)])
        if len(blocks) < options.words:
            raise TrainingError(f"there are only {len(blocks):,} blocks, too few for {options.words:,} words")
        partial = file.with_name(f".{file.name}")
        np.save(partial, train_codebook(blocks, options.words, options.seed))
        partial.replace(file)
    return Codebook(np.load(file))


def _blocks_anywhere(photo: FacesOnPhoto, cell: int, rng: np.random.Generator) -> Floats:
    """Return some descriptors (N, D) of a photo at a scale drawn at random, no larger than it is."""
    import cv2

    grey = cv2.cvtColor(photo.image, cv2.COLOR_RGB2GRAY)
    scale = float(np.exp(rng.uniform(np.log(0.3), 0)))
    size = [max(2 * cell, round(length * scale)) for length in (grey.shape[1], grey.shape[0])]
    blocks = picture_blocks(np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8), cell)
    return _some(blocks.reshape(-1, blocks.shape[2]), 300, rng)


def _some(rows: Floats, most: int, rng: np.random.Generator) -> Floats:
    return rows[rng.permutation(len(rows))[:most]]


def _collect_faces(
    sources: Sequence[Labels], samples: Samples, codebook: Codebook, options: HogOptions, fit: Fit
) -> None:
    """Write windows near faces as words, with the faces' places in them."""
    writer = SampleWriter(samples.folder)
    for number, photo, rng in _passes(sources, options, 2, "windows of faces", fit):
        for straying in (NEAR, WIDE):
            windows = windows_near_faces(photo, options.shape, WINDOWS_A_FACE, straying, options.variation.turn, rng)
            count = len(windows.places)
            writer.append(
                {
                    "words": words_of_pictures(windows.pictures, options.cell, codebook).astype(np.uint16),
                    "places": windows.places,
                    "near": np.full(count, straying is NEAR),
                    "held_out": np.full(count, held_out(number)),
                }
            )
    writer.finish()


def _collect_background(
    sources: Sequence[Labels], samples: Samples, model: HogModel, round_: int, options: HogOptions, fit: Fit
) -> None:
    """Write windows of background as words: anywhere in round 0, then those that the classifier takes for faces."""
    writer = SampleWriter(samples.folder)
    variation = replace(options.variation, turn=0.0)
    for source, labels in enumerate(sources):
        rng = np.random.default_rng(hash_seed(options.seed, 3, source, round_))
        chosen = rng.permutation(len(labels.photos))[: options.faces_of(BACKGROUND_PHOTOS)]
        photos = [labels.photos[number] for number in chosen]
        for index, photo, own in varied_photos(photos, variation, hash_seed(options.seed, 4, source, round_)):
            if round_:
                words = background_taken_for_faces(photo, model, MISTAKEN_A_PHOTO)
            else:
                words = background_anywhere(photo, model, ANYWHERE_A_LEVEL, own)
            writer.append(
                {"words": words.astype(np.uint16), "held_out": np.full(len(words), held_out(int(chosen[index])))}
            )
            if index % 16 == 0:
                fit.say(
                    f"background {round_ + 1} of {options.rounds + 1}: {index:,} of {len(photos):,} photos "
                    f"of source {source + 1} of {len(sources)}"
                )
    writer.finish()


def _classified(
    model: HogModel, faces: Arrays, background: Sequence[Samples], *, without_held_out: bool = False
) -> HogModel:
    """Return a model with a classifier trained on windows near faces and on all background so far."""
    near = faces["words"][faces["near"] & ~(faces["held_out"] & without_held_out)]
    rounds = [samples.arrays() for samples in background]
    others = [rows["words"][~(rows["held_out"] & without_held_out)] for rows in rounds]
    classifier = train_classifier(near, np.unique(np.concatenate(others), axis=0), len(model.codebook))
    return replace(model, tables=classifier.tables, bias=classifier.bias)


def _calibration(sources: Sequence[Labels], model: HogModel) -> tuple[float, float]:
    """Return slope and intercept that make margins shares of faces, by held-out photos; sources count alike."""
    plain = replace(model, slope=1.0, intercept=0.0)
    detector = HOG(plain.to_state(), min_face=LEAST_FACE, min_score=float(plain.score(np.array(CALIBRATED_FROM))))
    margins: list[Floats] = []
    found: list[NDArray[np.bool_]] = []
    weights: list[NDArray[np.float64]] = []
    for source, labels in enumerate(sources):
        photos = [photo for number, photo in enumerate(labels.photos) if held_out(number)]
        chosen = photos[:: max(1, len(photos) // BACKGROUND_PHOTOS)]
        judged = [
            _judged(photo, detector)
            for _, photo, _ in varied_photos(chosen, Variation(mirror=0, worsen=0, grey=0), source)
        ]
        count = sum(len(score) for score, _ in judged)
        for score, is_face in judged:
            margins.append(np.log(score / np.maximum(1 - score, 1e-7)))
            found.append(is_face)
            weights.append(np.full(len(score), 1 / count))
    if not sum(map(len, margins)):
        return 1.0, 0.0
    weight = np.concatenate(weights)
    margin = np.concatenate(margins).astype(np.float64)
    return calibrate(margin, np.concatenate(found), weight * len(weight) / weight.sum())


def _judged(photo: FacesOnPhoto, detector: HOG) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the scores of the detections on a photo that count, and which of them are faces."""
    detections = detector.detect([photo.image])[0]
    outcome = match_photo(detections.boxes, photo.boxes, LEAST_FACE)
    counts = ~outcome.ignored & ~(targets(detections.boxes, photo).ignored & ~outcome.found)
    return detections.scores[counts], outcome.found[counts]
