"""One network of the cascade learns, from labels alone or keeping what it said before.

Source: Zhang, Zhang, Li and Qiao 2016 (MTCNN), section II.C. Where a network is tuned, its earlier outputs are targets
beside the labels: Li and Hoiem, "Learning without Forgetting", ECCV 2016, section 3.

Departs from the latter: outputs are kept of samples from other photos than those whose labels are learned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from facepipe.models.mtcnn_networks import ONet, PNet, RNet
from facepipe.training.batches import EvenBatches, MixedBatches, as_input
from facepipe.training.loop import Batch, State
from facepipe.training.losses import divergence, hard_face_loss, masked_square_loss
from facepipe.training.windows import NEGATIVE

NETWORKS: dict[str, type[PNet | RNet | ONet]] = {"pnet": PNet, "rnet": RNet, "onet": ONet}
# Weights of the tasks (section III.A): face classification, bounding-box regression, landmarks.
TASK_WEIGHTS = {"pnet": (1.0, 0.5, 0.5), "rnet": (1.0, 0.5, 0.5), "onet": (1.0, 0.5, 1.0)}
KEPT_WEIGHT = 2.0  # of what a tuned network said before


@dataclass(frozen=True)
class MtcnnTask:
    """One network of the cascade.

    Attributes:
        name: key of NETWORKS.
        batches: of samples from whose labels it learns.
    """

    name: str
    batches: MixedBatches | EvenBatches

    def network(self) -> nn.Module:
        """Return the network as it is before the first step."""
        return NETWORKS[self.name]()

    def batch(self, rng: np.random.Generator, share: slice) -> Batch:
        """Return crops as the network takes them, with what it should say."""
        rows = self.batches.draw(rng, share)
        return {**rows, "crops": as_input(rows["crops"], rng)}

    def losses(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the weighted sum of the tasks' losses (section II.C, equations 1 to 4), and each of them."""
        return self.losses_of(network(batch["crops"]), batch)

    def losses_of(self, outputs: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        """Return the losses of what a network says of a batch."""
        face, offsets, *landmarks = outputs
        kind = batch["kind"]
        loss = {"face": hard_face_loss(face.flatten(), kind)}
        loss["box"] = masked_square_loss(offsets.flatten(1), batch["offsets"], kind != NEGATIVE)
        if landmarks:
            known = (kind != NEGATIVE) & ~batch["landmarks"].isnan().flatten(1).any(dim=1)
            loss["landmarks"] = masked_square_loss(landmarks[0].flatten(1), batch["landmarks"].flatten(1), known)
        return {"loss": weighted_sum(self.name, list(loss.values())), **loss}


@dataclass(frozen=True)
class TuningTask:
    """One network of the cascade, from given weights: it goes on saying what it said of other samples.

    Attributes:
        learning: from varied photos.
        known: samples of photos as they are.
        init: the given weights.
    """

    learning: MtcnnTask
    known: MixedBatches | EvenBatches
    init: State

    def network(self) -> nn.Module:
        """Return the network with the given weights."""
        network = self.learning.network()
        network.load_state_dict(self.init)
        return network

    @cached_property
    def _before(self) -> nn.Module:
        return self.network().eval().requires_grad_(requires_grad=False)

    def batch(self, rng: np.random.Generator, share: slice) -> Batch:
        """Return crops with what the network should say, and as many known ones."""
        known = as_input(self.known.draw(rng, share)["crops"], rng)
        return {**self.learning.batch(rng, share), "known": known}

    def losses(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the sum of what is lost by labels, and of how far outputs are from what they were; and each part."""
        learned, known = len(batch["crops"]), batch["known"]
        outputs = network(torch.cat([batch["crops"], known]))
        loss = self.learning.losses_of([output[:learned] for output in outputs], batch)
        face, *others = (output[learned:].reshape(len(known), -1) for output in outputs)
        with torch.no_grad():
            face_before, *others_before = (
                output.reshape(len(known), -1) for output in self._before.to(known.device)(known)
            )
        moved = [
            (after - before).square().sum(dim=1).mean() for after, before in zip(others, others_before, strict=True)
        ]
        kept = weighted_sum(self.learning.name, [divergence(face, face_before), *moved])
        return {**loss, "loss": loss["loss"] + KEPT_WEIGHT * kept, "kept": kept}


def weighted_sum(name: str, losses: Sequence[Tensor]) -> Tensor:
    """Return the sum of a network's losses: of face, box and, where it says them, landmarks."""
    weights = TASK_WEIGHTS[name]
    return torch.stack([weight * loss for weight, loss in zip(weights, losses, strict=False)]).sum()
