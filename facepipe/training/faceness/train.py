"""Faceness is trained: its five part networks, the arrangement of parts, then its classifier in two rounds.

Source: Yang, Luo, Loy and Tang, "From Facial Parts Responses to Face Detection: A Deep Learning Approach", ICCV 2015;
what each step departs from it in, its module says.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from facepipe.detectors.faceness import Faceness
from facepipe.imaging.boxes import heights
from facepipe.models.cache import publish
from facepipe.models.faceness_networks import PARTS, FacenessClassifier, PartNet, fold_normalisation
from facepipe.models.tensors import part_of
from facepipe.training.batches import MixedBatches, as_input
from facepipe.training.calibration import UNCALIBRATED, calibrate_detector
from facepipe.training.faceness.arrangement import learn_arrangement
from facepipe.training.faceness.celeba import ATTRIBUTES, read_attributes
from facepipe.training.faceness.classifier import (
    BATCH,
    ClassifierTask,
    classifier_samples,
    cover_background,
    shrink,
)
from facepipe.training.faceness.parts import BATCH as PART_BATCH
from facepipe.training.faceness.parts import PartTask, part_samples, usual_landmarks
from facepipe.training.labels import Labels
from facepipe.training.loop import Plan, State
from facepipe.training.photos import Variation
from facepipe.training.recipe import DetectorOptions, Fit
from facepipe.training.samples import Samples, SampleWriter
from facepipe.training.sources import Pass, hash_seed, hold_out, passes_over

PART_STEPS, PART_FACES, PART_RATE = 600, 3400, 3e-3
COUNTED_FACE = 20.0  # px: lower faces don't count when it comes to how often a source is passed over
ROUNDS = ("classifier-1", "classifier-2")
STEPS = {"classifier-1": 1600, "classifier-2": 2400}
FACES = {"classifier-1": 3000, "classifier-2": 3000}  # each source shows so many, counting repetitions
SHARES = {"classifier-1": 0.7, "classifier-2": 0.7}  # of the photos shown that are learned from
RATES = {"classifier-1": 2e-3, "classifier-2": 1e-3}
ARRANGED_CROPS = 1500  # crops from which the arrangement is learned
ARRANGEMENT = "arrangement.safetensors"
CALIBRATED_FROM = 20.0  # px, height of faces that calibrate scores
CALIBRATING_PHOTOS = 60  # of each source, at most


@dataclass(frozen=True)
class FacenessOptions(DetectorOptions):
    """What can be chosen.

    Attributes:
        variation: how photos are varied; half of them with covered faces.
        attributes: file of CelebA's attributes (`celeba.read_attributes`), for photos of the names that it holds;
            None: parts learn from places alone.
    """

    variation: Variation = field(default_factory=lambda: Variation(turn=10.0, worsen=0.15, cover=0.5))
    attributes: str | None = None


def train_faceness(sources: Sequence[Labels], folder: Path, options: FacenessOptions, fit: Fit) -> State:
    """Return the weights: `parts.hair.…` and so on, `arrangement.…`, `classifier.…` and `calibration`.

    Args:
        sources: labelled photos; landmarks, where they are known, tell where parts lie. Some photos are held out, to
            calibrate scores.
        folder: for samples and checkpoints; what is there already is not done again.
        options: see there.
        fit: trains one network.
    """
    sources, held_out = hold_out(sources)
    samples = _collect_parts(sources, folder / "parts", options, fit)
    plan = Plan(options.steps_of(PART_STEPS), options.learning_rate or PART_RATE, seed=hash_seed(options.seed, 1))
    state: State = {}
    for part in PARTS:
        task = PartTask(part, MixedBatches(samples, PART_BATCH), with_attributes=options.attributes is not None)
        learned = fold_normalisation(fit.network(task, plan, folder / part, part))
        state |= {f"parts.{part}.{name}": value for name, value in learned.items()}
    state |= {f"arrangement.{name}": value for name, value in _arrange(samples, state, folder, options, fit).items()}
    init: State | None = None
    for name in ROUNDS:
        mined = _collect_windows(name, sources, folder / name, state, options, fit)
        rate = options.learning_rate or RATES[name]
        plan = Plan(options.steps_of(STEPS[name]), rate, seed=hash_seed(options.seed, 2))
        init = fit.network(ClassifierTask(MixedBatches(mined, BATCH), init), plan, folder / name, name)
        state |= {f"classifier.{key}": value for key, value in fold_normalisation(init).items()}
    fit.say("calibrating scores on photos that were held out")
    few = [photos[:: max(1, len(photos) // CALIBRATING_PHOTOS)] for photos in held_out]
    plain = {**state, "calibration": torch.tensor(UNCALIBRATED)}
    detector = Faceness(plain, min_face=CALIBRATED_FROM, min_score=0.01)
    return {**state, "calibration": torch.tensor(calibrate_detector(detector, few, CALIBRATED_FROM))}


def _collect_parts(sources: Sequence[Labels], folder: Path, options: FacenessOptions, fit: Fit) -> Samples:
    """Write the samples from which all parts learn, and return them."""
    samples = Samples(folder)
    if samples.exists():
        return samples
    known = {} if options.attributes is None else read_attributes(Path(options.attributes))
    usual = usual_landmarks(sources)
    unknown = np.zeros(len(ATTRIBUTES), np.int8)
    writer = SampleWriter(folder)
    faces = options.faces_of(PART_FACES)
    with fit.mining("parts", sources, faces) as on_photos:
        for shown in _passes(sources, options, hash_seed(options.seed, 3), faces, on_photos):
            photo = cover_background(shown.photo, options.variation.cover, shown.rng)
            has = known.get(shown.path.name, unknown) if len(photo.boxes) == 1 else unknown
            writer.append(part_samples(photo, usual, has, shown.rng))
    return writer.finish()


def _passes(
    sources: Sequence[Labels], options: FacenessOptions, seed: int, faces: int, on_photos: Callable[[int], None]
) -> Iterator[Pass]:
    """Yield photos until each source has shown about so many faces that are not tiny."""
    for number, source in enumerate(sources):
        height = np.concatenate([heights(photo.boxes) for photo in source.photos])
        share = max(1, int((height >= COUNTED_FACE).sum())) / source.faces
        yield from passes_over(
            [source],
            options.variation,
            hash_seed(seed, number),
            faces=max(1, round(faces / share)),
            on_photos=on_photos,
        )


@torch.inference_mode()
def _arrange(samples: Samples, state: State, folder: Path, options: FacenessOptions, fit: Fit) -> State:
    """Return the arrangement of parts as tensors."""
    file = folder / ARRANGEMENT
    if not file.exists():
        fit.say("the arrangement of parts")
        arrays = samples.arrays()
        rng = np.random.default_rng([options.seed, 4])
        chosen = np.sort(rng.permutation(len(arrays["kind"]))[:ARRANGED_CROPS])
        crops = as_input(torch.from_numpy(arrays["crops"][chosen]))  # (N, 3, 48, 48)
        responses = []
        for part in PARTS:
            network = _part_network(state, part)
            logits = [network(crops[first : first + 64])[:, 0] for first in range(0, len(crops), 64)]
            responses.append(torch.sigmoid(torch.cat(logits)).numpy())
        arrangement = learn_arrangement(np.stack(responses, axis=1), arrays["faces"][chosen], options.seed)
        publish(file, safetensors.torch.save(arrangement.tensors()))
    return dict(safetensors.torch.load_file(file))


def _part_network(state: State, part: str) -> PartNet:
    own = part_of(state, f"parts.{part}.")
    network = PartNet(len(own["head.bias"]) - 1)
    network.load_state_dict(own)
    return network.eval()


def _collect_windows(
    name: str, sources: Sequence[Labels], folder: Path, state: State, options: FacenessOptions, fit: Fit
) -> Samples:
    """Write the samples of one of the classifier's rounds, and return them."""
    samples = Samples(folder / "samples")
    if samples.exists() or (folder / "model.safetensors").exists():
        return samples
    has_classifier = "classifier.head.bias" in state
    blank = {f"classifier.{key}": value for key, value in FacenessClassifier().state_dict().items()}
    detector = Faceness({**blank, "calibration": torch.tensor(UNCALIBRATED), **state})
    writer = SampleWriter(samples.folder)
    faces = options.faces_of(FACES[name])
    with fit.mining(name, sources, faces) as on_photos:
        seed = hash_seed(options.seed, 5, ROUNDS.index(name))
        for shown in _passes(sources, options, seed, faces, on_photos):
            if shown.rng.random() > SHARES[name]:
                continue
            photo = cover_background(shrink(shown.photo, shown.rng), options.variation.cover, shown.rng)
            writer.append(classifier_samples(photo, detector, shown.rng, has_classifier=has_classifier))
    return writer.finish()
