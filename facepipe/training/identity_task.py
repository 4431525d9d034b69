"""A network learns to say who of many people a face shows, and is judged by people whom it never sees.

Source: Taigman, Yang, Ranzato and Wolf, "DeepFace" (CVPR 2014), section 3.1; Parkhi, Vedaldi and Zisserman, "Deep Face
Recognition" (BMVC 2015), section 4.1: softmax and cross entropy over people.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facepipe.training.batches import check_share
from facepipe.training.face_samples import FaceSamples
from facepipe.training.judging import judge
from facepipe.training.loop import Batch
from facepipe.training.people import Ints


class FaceClassifier(nn.Module):
    """A recogniser's network as it learns: crops in, scores of people out.

    Attributes:
        trunk: the network itself, which takes images (B, 3, S, S), RGB, 0 to 255: `classify` returns scores, a call
            what faces are compared by, (B, D) of unit length.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk: Any = trunk

    def forward(self, crops: Tensor) -> Tensor:
        """Return scores of people (B, P) of crops (B, S, S, 3) uint8 RGB."""
        scores: Tensor = self.trunk.classify(as_images(crops, self.trunk))
        return scores

    def embed(self, crops: Tensor) -> Tensor:
        """Return what faces are compared by, (B, D) of unit length."""
        return embed_crops(self.trunk, crops)


def embed_crops(trunk: nn.Module, crops: Tensor) -> Tensor:
    """Return what a trunk (`FaceClassifier`) gives of crops (B, S, S, 3) uint8 RGB."""
    embeddings: Tensor = trunk(as_images(crops, trunk))
    return embeddings


def as_images(crops: Tensor, trunk: nn.Module) -> Tensor:
    """Return crops (B, S, S, 3) uint8 RGB as a trunk takes them, on its device and of its type: (B, 3, S, S)."""
    like = next(trunk.parameters())
    return crops.to(like.device).permute(0, 3, 1, 2).to(like.dtype)


@dataclass(frozen=True)
class IdentityTask:
    """What is learned.

    Attributes:
        make_network: makes the network, a FaceClassifier: it takes crops (B, S, S, 3) uint8 RGB and returns scores of
            people (B, P), of the people whose faces are learned from.
        faces: of all people, held-out ones included.
        rows: (N,) which of the faces are learned from.
        judged_rows: (M,) faces of held-out people.
        batch_faces: in a batch.
        patience: checkpoints without a better score after which the training ends.
    """

    make_network: Callable[[int], FaceClassifier]
    faces: FaceSamples
    rows: Ints
    judged_rows: Ints
    batch_faces: int = 64
    patience: int = 6

    @cached_property
    def _label(self) -> Ints:
        """Return which of the people, counted from 0, each of the rows shows."""
        _, label = np.unique(self.faces.person[self.rows], return_inverse=True)
        return label.astype(np.int64)

    @cached_property
    def _chances(self) -> npt.NDArray[np.float64]:
        """Return how likely each of the rows is drawn: a person as often as the root of how many faces they have."""
        chances = 1 / np.sqrt(np.bincount(self._label)[self._label])
        return np.asarray(chances / chances.sum(), np.float64)

    def network(self) -> nn.Module:
        """Return the network as it is before the first step."""
        return self.make_network(int(self._label.max()) + 1)

    def batch(self, rng: np.random.Generator, share: slice) -> Batch:
        """Return crops, and which of the people they show.

        Raises:
            TrainingError: the batch can't be shared out evenly.
        """
        check_share(self.batch_faces, share.step)
        drawn = rng.choice(len(self.rows), self.batch_faces, p=self._chances)
        seeds = rng.integers(2**62, size=len(drawn))
        crops = self.faces.varied(self.rows[drawn[share]], seeds[share])
        return {"crops": crops, "people": torch.from_numpy(self._label[drawn[share]])}

    def losses(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the cross entropy, and the share of faces that are taken for somebody else."""
        scores = network(batch["crops"]).float()
        wrong = (scores.argmax(dim=1) != batch["people"]).float().mean()
        return {"loss": F.cross_entropy(scores, batch["people"]), "wrong": wrong}

    def judge(self, network: nn.Module) -> Mapping[str, float]:
        """Return how well held-out people are told apart (`judging.judge`)."""
        return judge(network.embed, self.faces, self.judged_rows)  # type: ignore[arg-type]
