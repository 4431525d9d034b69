"""DDFD's network learns from crops; then again, from those that it took for faces before.

Source: Farfade, Saberian and Li 2015, "Multi-view Face Detection Using Deep Convolutional Neural Networks", section 3:
AlexNet fine-tuned on crops, batches of 128 with 32 faces, mirrored at random; neither poses nor landmarks are known.

Departs from the paper: trained from random weights unless others are given, then with batch
normalisation, which the weights take up afterwards; AdamW; photos are turned, which stands for
the paper's many photos of faces in all poses; rounds with mistaken crops as half of each batch's background follow
the first one; some photos are held out and calibrate scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facepipe.detectors.ddfd import DDFD
from facepipe.errors import WrongUsageError
from facepipe.models.alexnet import load_imagenet
from facepipe.models.ddfd_network import DDFDNetwork
from facepipe.training.batches import MixedBatches, as_input
from facepipe.training.calibration import UNCALIBRATED, calibrate_detector
from facepipe.training.ddfd.normalised import Normalised, fold
from facepipe.training.ddfd.samples import (
    BACKGROUND,
    FACE,
    MISTAKEN,
    crops_near_and_far,
    crops_taken_for_faces,
    ignore_small_faces,
    mean_face_box,
)
from facepipe.training.labels import Labels
from facepipe.training.loop import Batch, Plan, State
from facepipe.training.photos import Variation, varied_photos
from facepipe.training.recipe import DetectorOptions, Fit
from facepipe.training.samples import Samples, SampleWriter
from facepipe.training.sources import hash_seed, hold_out, passes_over

FACES_A_BATCH, OTHERS_A_BATCH = 32, 96  # section 3
MISTAKEN_A_BATCH = 48  # of the others, once there are such
STEPS = (1200, 700, 700)  # of each round
LEARNING_RATES = (2e-3, 1e-3, 1e-3)
WEIGHT_DECAY = 1e-2
FACES = 6000  # each source shows so many in the first round, counting repetitions
MINED_PHOTOS = 100  # of each source before each later round, counting repetitions
MINED_FACES = (24.0, 80.0)  # pixels: least height of mistaken faces, drawn for each photo; small ones take long to find
MINED_SCORE = 0.2
UPRIGHT = 20.0  # degrees by which half of the photos are turned at most
CALIBRATED_FROM = 20.0  # pixels: height of faces that calibrate scores


@dataclass(frozen=True)
class DdfdTask:
    """The network in one round.

    Attributes:
        batches: the parts of a batch.
        width: of the network.
        crop: side of its window.
        normalised: learns with normalisation.
        init: its weights before, those of normalisation included; None: at random.
    """

    batches: Sequence[MixedBatches]
    width: float
    crop: int
    normalised: bool = False
    init: State | None = None

    def network(self) -> nn.Module:
        """Return the network as it is before the first step."""
        plain = DDFDNetwork(self.width, self.crop)
        network = Normalised(plain) if self.normalised else plain
        if self.init is not None:
            network.load_state_dict(self.init)
        return network

    def batch(self, rng: np.random.Generator, share: slice) -> Batch:
        """Return crops as the network takes them, mirrored at random, with their kinds."""
        parts = [part.draw(rng, share) for part in self.batches]
        rows = {name: torch.cat([part[name] for part in parts]) for name in ("crops", "kind")}
        crops = as_input(rows["crops"], rng)
        mirrored = torch.from_numpy(rng.random(len(crops)) < 0.5)
        return {"crops": torch.where(mirrored[:, None, None, None], crops.flip(3), crops), "kind": rows["kind"]}

    def losses(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the mean cross entropy, and the share of crops that are judged wrongly."""
        logit, is_face = network(batch["crops"]), batch["kind"] == FACE
        with torch.autocast(logit.device.type, enabled=False):
            loss = F.binary_cross_entropy_with_logits(logit.float(), is_face.float())
        return {"loss": loss, "wrong": ((logit > 0) != is_face).float().mean()}


@dataclass(frozen=True)
class DdfdOptions(DetectorOptions):
    """What can be chosen.

    Attributes:
        width: factor on the network's channels.
        crop: side of its window, in pixels.
        init: weights to start from: DDFD's own, or torchvision's AlexNet; None: at random.
    """

    variation: Variation = field(default_factory=lambda: Variation(turn=100.0, worsen=0.1, cover=0.15))
    width: float = 0.25
    crop: int = 97
    init: State | None = field(default=None, repr=False)


def train_ddfd(sources: Sequence[Labels], folder: Path, options: DdfdOptions, fit: Fit) -> State:
    """Return the weights of `DDFDNetwork`.

    Args:
        sources: labelled photos; landmarks teach nothing.
        folder: for samples and checkpoints; what is there already is not done again.
        options: see there.
        fit: trains one network.
    """
    learned_from, held_out = hold_out(sources)
    learned_from = [ignore_small_faces(labels) for labels in learned_from]
    state = _first_weights(options)
    normalised = state is None
    plain: State = {}
    samples: list[Samples] = []
    for number, (steps, rate) in enumerate(zip(STEPS, LEARNING_RATES, strict=True)):
        place, name = folder / f"round{number}", f"round {number + 1} of {len(STEPS)}"
        samples.append(Samples(place / "samples"))
        if not samples[-1].exists():
            if number:
                _mine(learned_from, samples[-1], plain, number, options, fit)
            else:
                _collect(learned_from, samples[-1], options, fit)
        plan = Plan(
            options.steps_of(steps),
            options.learning_rate or rate,
            weight_decay=WEIGHT_DECAY,
            seed=hash_seed(options.seed, 1, number),
        )
        task = DdfdTask(_batches(samples), options.width, options.crop, normalised, state)
        state = fit.network(task, plan, place, name)
        plain = fold(state) if normalised else dict(state)
        plain["face_box"] = _face_box(samples[0])
    fit.say("calibrating scores on photos that were held out")
    detector = DDFD({**plain, "calibration": torch.tensor(UNCALIBRATED)}, min_face=CALIBRATED_FROM, min_score=0.05)
    plain["calibration"] = torch.tensor(calibrate_detector(detector, held_out, CALIBRATED_FROM), dtype=torch.float32)
    return plain


def _first_weights(options: DdfdOptions) -> State | None:
    """Return the weights to start from; None: at random.

    Raises:
        WrongUsageError: they are of a network of another size, or there is none of this width and crop.
        WeightsError: they are no AlexNet's of this width.
    """
    torch.manual_seed(options.seed)
    network = DDFDNetwork(options.width, options.crop)
    if options.init is None:
        return None
    if "face_box" not in options.init:
        load_imagenet(network, options.init)
        return network.state_dict()
    sizes = {name: values.shape for name, values in network.state_dict().items()}
    if sizes != {name: values.shape for name, values in options.init.items()}:
        raise WrongUsageError("the weights to start from are of another --width or --crop")
    return {name: values.float() for name, values in options.init.items()}


def _batches(samples: Sequence[Samples]) -> list[MixedBatches]:
    """Return the parts of a batch: faces and background of the first round, mistaken crops of later ones."""
    mistaken = [later for later in samples[1:] if len(later.arrays()["kind"])]
    others = OTHERS_A_BATCH - (MISTAKEN_A_BATCH if mistaken else 0)
    share = MISTAKEN_A_BATCH // max(len(mistaken), 1)
    first = MixedBatches(samples[0], {FACE: FACES_A_BATCH, BACKGROUND: others})
    return [first, *(MixedBatches(later, {MISTAKEN: share}) for later in mistaken)]


def _face_box(samples: Samples) -> Tensor:
    arrays = samples.arrays()
    return torch.from_numpy(mean_face_box(arrays["offsets"][arrays["kind"] == FACE]))


def _collect(sources: Sequence[Labels], samples: Samples, options: DdfdOptions, fit: Fit) -> None:
    """Write crops near faces and anywhere, of photos half of which stay nearly upright."""
    writer = SampleWriter(samples.folder)
    nearly_upright = replace(options.variation, turn=min(options.variation.turn, UPRIGHT))
    faces = options.faces_of(FACES // 2)
    for part, variation in enumerate((nearly_upright, options.variation)):
        seed = hash_seed(options.seed, 0, part)
        with fit.mining(f"round 1, part {part + 1} of 2", sources, faces) as on_photos:
            for shown in passes_over(sources, variation, seed, faces=faces, on_photos=on_photos):
                writer.append(crops_near_and_far(shown.photo, options.crop, shown.rng))
    writer.finish()


def _mine(
    sources: Sequence[Labels], samples: Samples, state: State, number: int, options: DdfdOptions, fit: Fit
) -> None:
    """Write the crops of background that the network takes for faces."""
    writer = SampleWriter(samples.folder)
    count = options.faces_of(MINED_PHOTOS)
    rng = np.random.default_rng(hash_seed(options.seed, 2, number))
    for source, labels in enumerate(sources):
        chosen = [labels.photos[index] for index in np.resize(rng.permutation(len(labels.photos)), count)]
        seed = hash_seed(options.seed, 3, number, source)
        for shown, photo, own in varied_photos(chosen, options.variation, seed):
            least = float(np.exp(own.uniform(*np.log(MINED_FACES))))
            detector = DDFD(state, min_face=least, min_score=MINED_SCORE)
            writer.append(crops_taken_for_faces(photo, detector, options.crop, own))
            if shown % 16 == 0:
                done = source * count + shown
                fit.say(f"mistaken crops for round {number + 1}: {done:,} of {len(sources) * count:,} photos")
    writer.finish()
