"""What the detector by oriented gradients learns from, in files: a codebook, windows of faces and background as words.

Source: Cerna, Cámara-Chávez and Menotti, "Face Detection: Histogram of Oriented Gradients and Bag of Feature Method",
IPCV 2013; hard background by Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005,
section 4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from facepipe.detectors.hog.codebook import Codebook, picture_blocks
from facepipe.detectors.hog.model import HogModel
from facepipe.errors import TrainingError
from facepipe.imaging.boxes import heights
from facepipe.models.cache import publish
from facepipe.training.hog.classifier import train_codebook
from facepipe.training.hog.options import HogOptions
from facepipe.training.hog.windows import (
    LEAST_FACE,
    NEAR,
    WIDE,
    background_anywhere,
    background_taken_for_faces,
    windows_near_faces,
    words_of_pictures,
)
from facepipe.training.labels import Labels
from facepipe.training.photos import FacesOnPhoto, varied_photos
from facepipe.training.recipe import Fit
from facepipe.training.samples import Samples, SampleWriter
from facepipe.training.sources import hash_seed

Floats = NDArray[np.float32]

WINDOWS_A_FACE = 3  # in each pass over the photos; as many again stray wider and teach where faces lie
FACES = 12_000  # windows of faces that each source shows
MOST_PASSES = 12
BLOCKS = 100_000  # descriptors, of faces and of background, among which words are found
BACKGROUND_PHOTOS = 500  # of each source in each round
ANYWHERE_A_LEVEL = 8
MISTAKEN_A_PHOTO = 100
HELD_OUT_OF = 4  # one photo in so many calibrates scores


def held_out(number: int) -> bool:
    """Return whether a photo of a source, by its number, is among those that calibrate scores."""
    return number % HELD_OUT_OF == HELD_OUT_OF // 2


def _passes(
    sources: Sequence[Labels], options: HogOptions, kind: int, name: str, fit: Fit
) -> Iterator[tuple[int, FacesOnPhoto, np.random.Generator]]:
    """Yield photos with their numbers, upright, as often as each source needs to show FACES windows of faces."""
    variation = replace(options.variation, turn=0.0)
    for source, labels in enumerate(sources):
        count = sum(int((heights(photo.boxes) >= LEAST_FACE).sum()) for photo in labels.photos)
        wanted = options.faces_of(FACES) / max(count * WINDOWS_A_FACE, 1)
        passes = min(max(1, round(wanted)), MOST_PASSES)
        for index in range(passes):
            seed = hash_seed(options.seed, kind, source, index)
            for number, photo, rng in varied_photos(labels.photos, variation, seed):
                yield number, photo, rng
                if number % 16 == 0:
                    done, total = index * len(labels.photos) + number, passes * len(labels.photos)
                    fit.say(f"{name}: {done:,} of {total:,} photos of source {source + 1} of {len(sources)}")


def find_codebook(sources: Sequence[Labels], file: Path, options: HogOptions, fit: Fit) -> Codebook:
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
        words = torch.from_numpy(train_codebook(blocks, options.words, options.seed))
        publish(file, safetensors.torch.save({"codebook": words}))
    return Codebook(safetensors.torch.load_file(file)["codebook"].numpy())


def _blocks_anywhere(photo: FacesOnPhoto, cell: int, rng: np.random.Generator) -> Floats:
    """Return some descriptors (N, D) of a photo at a scale drawn at random, no larger than it is."""
    grey = cv2.cvtColor(photo.image, cv2.COLOR_RGB2GRAY)
    scale = float(np.exp(rng.uniform(np.log(0.3), 0)))
    size = [max(2 * cell, round(length * scale)) for length in (grey.shape[1], grey.shape[0])]
    blocks = picture_blocks(np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8), cell)
    return _some(blocks.reshape(-1, blocks.shape[2]), 300, rng)


def _some(rows: Floats, most: int, rng: np.random.Generator) -> Floats:
    return rows[rng.permutation(len(rows))[:most]]


def collect_faces(
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


def collect_background(
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
