"""The detector by oriented gradients is trained: a codebook, a classifier with rounds of hard background, calibration.

Source: Cerna, Cámara-Chávez and Menotti, "Face Detection: Histogram of Oriented Gradients and Bag of Feature Method",
IPCV 2013; hard background by Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005,
section 4: what a first classifier takes for faces joins the background of the next one.

Departs from the paper: up to five such rounds rather than none; faces are turned, mirrored and made coarser.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facepipe.detectors.hog.model import HogModel
from facepipe.detectors.hog.search import shows_enough
from facepipe.errors import WrongUsageError
from facepipe.training.hog.calibration import calibration
from facepipe.training.hog.classifier import train_classifier, train_places
from facepipe.training.hog.options import CELLS, HogOptions
from facepipe.training.hog.samples import collect_background, collect_faces, find_codebook
from facepipe.training.labels import Labels
from facepipe.training.loop import State
from facepipe.training.recipe import Fit
from facepipe.training.samples import Arrays, Samples

MOST_ROUNDS = 5


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
    codebook = find_codebook(sources, folder / "codebook.safetensors", options, fit)
    faces = Samples(folder / "faces")
    if not faces.exists():
        collect_faces(sources, faces, codebook, options, fit)
    blocks = CELLS - 1
    nothing = np.zeros((blocks, blocks, options.words), np.float32)
    model = HogModel(options.cell, codebook, nothing, 0.0, np.zeros(4, np.float32), np.stack([nothing] * 4, axis=3))
    rows = _of_use(faces.arrays(), model)
    fit.say("learning where faces lie in windows")
    mean, tables = train_places(rows["words"], rows["places"], options.words)
    model = replace(model, box_mean=mean, box_tables=tables)
    background: list[Samples] = []
    for number in range(options.rounds + 1):
        samples = Samples(folder / f"background{number}")
        if not samples.exists():
            collect_background(sources, samples, model, number, options, fit)
        background.append(samples)
        fit.say(f"classifier {number + 1} of {options.rounds + 1}")
        model = _classified(model, rows, background)
    fit.say("calibrating scores on photos that were held out")
    slope, intercept = calibration(sources, _classified(model, rows, background, without_held_out=True))
    return replace(model, slope=slope, intercept=intercept).to_state()


def _of_use(faces: Arrays, model: HogModel) -> Arrays:
    """Return windows of faces without those on which hardly anything is to be seen."""
    seen = shows_enough(faces["words"], model)
    return {name: values[seen] for name, values in faces.items()}


def _classified(
    model: HogModel, faces: Arrays, background: Sequence[Samples], *, without_held_out: bool = False
) -> HogModel:
    """Return a model with a classifier trained on windows near faces and on all background so far."""
    near = faces["words"][faces["near"] & ~(faces["held_out"] & without_held_out)]
    rounds = [samples.arrays() for samples in background]
    others = [rows["words"][~(rows["held_out"] & without_held_out)] for rows in rounds]
    classifier = train_classifier(near, np.unique(np.concatenate(others), axis=0), len(model.codebook))
    return replace(model, tables=classifier.tables, bias=classifier.bias)
