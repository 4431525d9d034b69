"""MTCNN's three networks are trained one after the other, each on what those before it let through.

Source: Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", IEEE Signal Processing Letters 23(10), 2016, sections II.C (losses and hard samples) and III.A (samples).

Departs from the paper: landmarks are learned by O-Net alone, as in the networks that its authors published; every
positive and part sample whose landmarks are known teaches them, rather than photos of their own; crops are varied
(turned, made worse), and their colours changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facepipe.detectors.mtcnn import MTCNN
from facepipe.imaging.boxes import square
from facepipe.models.mtcnn_networks import ONet, PNet, RNet
from facepipe.models.tensors import part_of
from facepipe.training.batches import MixedBatches, as_input
from facepipe.training.labels import Labels
from facepipe.training.loop import Batch, Plan, State
from facepipe.training.losses import hard_face_loss, masked_square_loss
from facepipe.training.photos import FacesOnPhoto
from facepipe.training.recipe import Fit, TrainingOptions
from facepipe.training.samples import Samples, SampleWriter
from facepipe.training.sources import hash_seed, passes_over
from facepipe.training.windows import (
    NEGATIVE,
    PART,
    POSITIVE,
    Jitter,
    anywhere,
    kinds_of,
    near_faces,
    take_crops,
    targets,
)

Floats = NDArray[np.float32]

NETWORKS: dict[str, type[PNet | RNet | ONet]] = {"pnet": PNet, "rnet": RNet, "onet": ONet}
# Weights of the tasks (section III.A): face classification, bounding-box regression, landmarks.
TASK_WEIGHTS = {"pnet": (1.0, 0.5, 0.5), "rnet": (1.0, 0.5, 0.5), "onet": (1.0, 0.5, 1.0)}
# Negatives : positives : part faces = 3 : 1 : 1 (section III.A).
BATCH = {NEGATIVE: 144, POSITIVE: 48, PART: 48}
STEPS = {"pnet": 8000, "rnet": 4000, "onet": 2000}  # a step of O-Net takes as long as fifty of P-Net's
LEARNING_RATE = 2e-3
FACES = {"pnet": 5_000, "rnet": 3_000, "onet": 2_000}  # each source shows so many, counting repetitions
MINING_THRESHOLDS = (0.6, 0.6, 0.5)
MINING_LEAST_FACE = 20.0  # pixels; smaller ones would take most of the time
LEAST_FACE = 10.0  # pixels; smaller faces neither teach nor are background


@dataclass(frozen=True)
class MtcnnTask:
    """One network of the cascade."""

    name: str
    batches: MixedBatches
    init: State | None = None

    def network(self) -> nn.Module:
        """Return the network, with the given first weights where there are any."""
        network = NETWORKS[self.name]()
        if self.init is not None:
            network.load_state_dict(self.init)
        return network

    def batch(self, rng: np.random.Generator, share: slice) -> Batch:
        """Return crops as the network takes them, with what it should say."""
        rows = self.batches.draw(rng, share)
        return {**rows, "crops": as_input(rows["crops"], rng)}

    def losses(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the weighted sum of the tasks' losses (section II.C, equations 1 to 4), and each of them."""
        face, offsets, *landmarks = network(batch["crops"])
        kind = batch["kind"]
        loss = {"face": hard_face_loss(face.flatten(), kind)}
        loss["box"] = masked_square_loss(offsets.flatten(1), batch["offsets"], kind != NEGATIVE)
        if landmarks:
            known = (kind != NEGATIVE) & ~batch["landmarks"].isnan().flatten(1).any(dim=1)
            loss["landmarks"] = masked_square_loss(landmarks[0].flatten(1), batch["landmarks"].flatten(1), known)
        weights = TASK_WEIGHTS[self.name]
        parts = [weight * part for weight, part in zip(weights, loss.values(), strict=False)]
        return {"loss": torch.stack(parts).sum(), **loss}


@dataclass(frozen=True)
class MtcnnOptions(TrainingOptions):
    """What can be chosen.

    Attributes:
        init: weights `pnet.…`, `rnet.…`, `onet.…` to start from; None: at random.
    """

    init: State | None = field(default=None, repr=False)


def train_mtcnn(sources: Sequence[Labels], folder: Path, options: MtcnnOptions, fit: Fit) -> State:
    """Return the weights of the three networks, `pnet.…`, `rnet.…` and `onet.…`.

    Args:
        sources: labelled photos; faces whose landmarks are known teach O-Net where they lie.
        folder: for samples and checkpoints; what is there already is not done again.
        options: see there.
        fit: trains one network.
    """
    state: State = {}
    for name in NETWORKS:
        samples = Samples(folder / name / "samples")
        if not samples.exists() and not (folder / name / "model.safetensors").exists():
            collect(name, sources, samples.folder, state, options, fit)
        plan = Plan(
            options.steps_of(STEPS[name]), options.learning_rate or LEARNING_RATE, seed=hash_seed(options.seed, 1)
        )
        own = None if options.init is None else part_of(options.init, f"{name}.")
        learned = fit.network(MtcnnTask(name, MixedBatches(samples, BATCH), own), plan, folder / name, name)
        state |= {f"{name}.{key}": value for key, value in learned.items()}
    return state


def collect(
    name: str, sources: Sequence[Labels], folder: Path, state: State, options: MtcnnOptions, fit: Fit
) -> Samples:
    """Write the samples from which a network learns, mined with the networks before it, and return them."""
    size = NETWORKS[name].window
    before = list(NETWORKS).index(name)
    cascade = _cascade(state) if before else None
    writer = SampleWriter(folder)
    faces = options.faces_of(FACES[name])
    with fit.mining(name, sources, faces) as on_photos:
        seed = hash_seed(options.seed, before)
        for shown in passes_over(sources, options.variation, seed, faces=faces, on_photos=on_photos):
            photo, rng = shown.photo, shown.rng
            windows = [_guesses(photo, name, rng)]
            if cascade is not None:
                found = cascade.propose([photo.image], before)[0]
                windows.append(square(found[rng.permutation(len(found))[:400]]))
            rows = _samples(photo, np.concatenate(windows), size, rng, has_found=cascade is not None)
            if len(rows["kind"]):
                writer.append(rows)
    return writer.finish()


def _guesses(photo: FacesOnPhoto, name: str, rng: np.random.Generator) -> Floats:
    """Return windows near faces and anywhere: all that P-Net learns from, and the others' faces that it missed."""
    height, width = photo.image.shape[:2]
    faces = photo.boxes[(photo.boxes[:, 3] - photo.boxes[:, 1]) >= LEAST_FACE]
    close = near_faces(faces, 24, Jitter(0.2, 1.25), rng)
    if name != "pnet":
        return close
    around = near_faces(faces, 3, Jitter(0.8, 2.0), rng)
    return np.concatenate([close, around, anywhere(width, height, 24, PNet.window, rng)])


def _samples(
    photo: FacesOnPhoto, windows: Floats, size: int, rng: np.random.Generator, *, has_found: bool
) -> dict[str, np.ndarray]:
    """Return the crops of windows that are of one kind or another, and what a network should say of them."""
    wanted = targets(windows, photo)
    kind = kinds_of(wanted, photo, LEAST_FACE)
    faces = max(len(photo.boxes), 1)
    chosen = []
    limits = {NEGATIVE: 40 if has_found else 24, POSITIVE: 8 * faces, PART: 8 * faces}
    for sort, most in limits.items():
        rows = np.flatnonzero(kind == sort)
        chosen.append(rng.permutation(rows)[:most])
    rows = np.concatenate(chosen)
    return {
        "crops": take_crops(photo, windows[rows], size),
        "kind": kind[rows],
        "offsets": wanted.offsets[rows],
        "landmarks": wanted.landmarks[rows],
    }


def _cascade(state: State) -> MTCNN:
    """Return the detector as far as it is trained; networks to come are there, but not asked."""
    whole = dict(state)
    for name, network in NETWORKS.items():
        if f"{name}.conv1.weight" not in whole:
            whole |= {f"{name}.{key}": value for key, value in network().state_dict().items()}
    return MTCNN(whole, min_face=MINING_LEAST_FACE, thresholds=MINING_THRESHOLDS)
