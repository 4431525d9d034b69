"""FaceNet learns by triplets: given weights are adapted to other photos, or a network learns from scratch.

Source: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering" (CVPR
2015), section 3. What given weights said of photos as they are is kept: Li and Hoiem, "Learning without Forgetting"
(ECCV 2016), section 3; and the adapted weights are averaged with them: Wortsman et al., "Robust Fine-Tuning of
Zero-Shot Models" (CVPR 2022), section 3.

Departs from FaceNet: AdamW instead of SGD with AdaGrad; batches of tens of faces rather than 1,800; what is kept and
averaged; a given mean embedding is subtracted before distances are taken, as it is when faces are embedded.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facepipe.alignment.box_crop import FACENET_GROW
from facepipe.models.inception_resnet_v1 import INPUT_SIZE, InceptionResNetV1
from facepipe.models.tensors import part_of
from facepipe.training.batches import as_input
from facepipe.training.face_samples import FaceSamples
from facepipe.training.judging import embed
from facepipe.training.loop import State
from facepipe.training.people import split
from facepipe.training.recipe import Fit
from facepipe.training.samples import Samples, SampleWriter
from facepipe.training.triplet_task import Kept, TripletOptions, TripletTask

NETWORK = "network"  # folder of its checkpoints
STEPS = {"adapted": 600, "scratch": 800}
# Of a network from scratch, where nothing else is asked for: more faces at once than adapting takes.
SCRATCH_BATCH: dict[str, Any] = {"people": 16, "faces": 4, "others": 8}
LEARNING_RATE = {"adapted": 1e-4, "scratch": 1e-3}
KEPT_WEIGHT = 8.0
ADAPTED_SHARE = 0.7  # of the adapted weights in the average
_AT_ONCE = 256


@dataclass(frozen=True)
class FaceNetOptions(TripletOptions):
    """What can be chosen.

    Attributes:
        init: weights to be adapted, whose mean embedding stays what it is; None: from scratch.
        width: of a network from scratch, a multiple of 1/8.
    """

    init: State | None = field(default=None, repr=False)
    width: float = 0.25

    @property
    def adapts(self) -> bool:
        """Whether there are given weights."""
        return self.init is not None


class EmbeddingNetwork(nn.Module):
    """Inception-ResNet-v1 whose raw output is brought to unit length, centred, and brought to unit length again.

    So does `embedders.facenet.FaceNet`.
    """

    mean: Tensor

    def __init__(self, trunk: InceptionResNetV1, mean: np.ndarray | None) -> None:
        super().__init__()
        self.trunk: InceptionResNetV1 = trunk
        centre = np.zeros(trunk.bottleneck.out_features, np.float32) if mean is None else mean
        self.register_buffer("mean", torch.from_numpy(centre.copy()), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """Return unit-length embeddings (B, 512) of crops (B, 160, 160, 3) uint8 RGB, on whatever device they lie."""
        raw = self.trunk(as_input(crops.to(self.mean.device))).float()
        return F.normalize(F.normalize(raw, dim=1) - self.mean, dim=1)


@dataclass(frozen=True)
class MakeNetwork:
    """Makes the network as it is before the first step; picklable."""

    init: State | None
    mean: np.ndarray | None
    width: float

    def __call__(self) -> EmbeddingNetwork:
        """Return it."""
        if self.init is not None:
            trunk = InceptionResNetV1.shaped_like(self.init)
            trunk.load_state_dict(self.init)
            return EmbeddingNetwork(trunk, self.mean)
        trunk = InceptionResNetV1(self.width)
        for module in trunk.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):  # as He et al. have it: else signals die in so deep a network
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(torch.as_tensor(module.bias))
        return EmbeddingNetwork(trunk, self.mean)


def train_facenet(samples: Samples, folder: Path, options: FaceNetOptions, fit: Fit) -> State:
    """Return the weights of Inception-ResNet-v1.

    Args:
        samples: see `training.face_samples.FaceSamples`.
        folder: for checkpoints; what is there already is not done again.
        options: see there.
        fit: trains the network.

    Raises:
        TrainingError: see `people.PeopleSampler`, `people.split` and `TripletTask`.
    """
    faces = FaceSamples(samples, INPUT_SIZE, FACENET_GROW, options.variation)
    rows, judged = split(faces.person, options.seed)
    make_network = MakeNetwork(options.init, options.mean, options.width)
    kind = "scratch" if options.init is None else "adapted"
    kept = None
    if options.init is not None:
        kept = Kept(_said_before(make_network(), faces, folder / "kept", fit), KEPT_WEIGHT)
    task = TripletTask.of(options, make_network, faces, rows, judged, kept)
    plan = options.plan(STEPS[kind], LEARNING_RATE[kind])
    learned = part_of(fit.network(task, plan, folder / NETWORK, "facenet"), "trunk.")
    if options.init is None:
        return learned
    return {name: options.init[name].lerp(value, ADAPTED_SHARE) for name, value in learned.items()}


def _said_before(network: nn.Module, faces: FaceSamples, folder: Path, fit: Fit) -> Samples:
    """Return the embeddings that a network gives of all faces as they are."""
    said = Samples(folder)
    if said.exists():
        return said
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    writer = SampleWriter(folder)
    for start in range(0, len(faces.person), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(faces.person)))
        writer.append({"embedding": embed(network, faces, rows)})
        fit.say(f"facenet: {len(writer):,} of {len(faces.person):,} faces embedded as they are")
    return writer.finish()
