"""A network learns by triplets, over all workers' faces, and is judged by people whom it never sees.

Source: Schroff, Kalenichenko and Philbin 2015 (FaceNet), section 3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from facepipe.errors import TrainingError, WrongUsageError
from facepipe.training.batches import check_share
from facepipe.training.face_samples import FaceSamples
from facepipe.training.gathering import gather_rows
from facepipe.training.judging import judge
from facepipe.training.loop import Batch, Progress
from facepipe.training.people import Ints, PeopleSampler
from facepipe.training.recipe import RecogniserOptions
from facepipe.training.samples import Samples
from facepipe.training.triplets import (
    MARGIN,
    MINING,
    active_share,
    has_triplets,
    mean_distances,
    squared_distances,
    triplet_losses,
)

COLLAPSED = 1e-3  # mean squared distance between faces of different people, 0 to 4


@dataclass(frozen=True)
class Kept:
    """What a network that is adapted said of each face before, so that it doesn't forget it.

    Attributes:
        samples: with an array `embedding` (N, D) float32, unit length.
        weight: of the mean squared distance from it, beside the triplet loss.
    """

    samples: Samples
    weight: float


@dataclass(frozen=True)
class TripletOptions(RecogniserOptions):
    """What can be chosen of every training by triplets.

    Attributes:
        margin: α, above 0 and below 4, of squared distances.
        mining: key of MINING.
        people: in a batch, each with several faces; at least 1.
        faces: of each of them; at least 2.
        others: faces of other people in a batch; 0 or more.
    """

    margin: float = MARGIN
    mining: str = "semi-hard"
    people: int = 8
    faces: int = 3
    others: int = 8

    def __post_init__(self) -> None:
        """Check that a batch can teach something.

        Raises:
            WrongUsageError: it can't.
        """
        if not 0 < self.margin < 4:
            raise WrongUsageError(f"a margin lies above 0 and below 4, the largest squared distance, not {self.margin}")
        if self.people + self.others < 2:
            raise WrongUsageError(
                "a batch of one person's faces holds no triplet, which takes one of another person: choose --people 2 "
                "or --others 1"
            )

    @property
    def learns_by_triplets(self) -> bool:
        """Whether triplets are learned from."""
        return True


@dataclass(frozen=True)
class TripletTask:
    """What is learned.

    Attributes:
        make_network: makes the network, which takes crops (B, S, S, 3) uint8 RGB and returns unit-length embeddings
            (B, D).
        faces: of all people, held-out ones included.
        rows: (N,) which of the faces are learned from.
        judged_rows: (M,) faces of held-out people.
        sampler: draws from `rows`.
        margin: α.
        mining: key of MINING.
        kept: None: nothing is kept.
        patience: checkpoints without a better score after which the training ends.
    """

    make_network: Callable[[], nn.Module]
    faces: FaceSamples
    rows: Ints
    judged_rows: Ints
    sampler: PeopleSampler
    margin: float = MARGIN
    mining: str = "semi-hard"
    kept: Kept | None = None
    patience: int = 6

    @classmethod
    def of(
        cls,
        options: TripletOptions,
        make_network: Callable[[], nn.Module],
        faces: FaceSamples,
        rows: Ints,
        judged_rows: Ints,
        kept: Kept | None = None,
    ) -> "TripletTask":
        """Return the task that options describe; for the others see above.

        Raises:
            TrainingError: there are no batches of triplets (`PeopleSampler`).
        """
        sampler = PeopleSampler(faces.person[rows], options.people, options.faces, options.others)
        return cls(make_network, faces, rows, judged_rows, sampler, options.margin, options.mining, kept)

    def network(self) -> nn.Module:
        """Return the network as it is before the first step."""
        return self.make_network()

    def batch(self, rng: np.random.Generator, share: slice) -> Batch:
        """Return crops, who they are, and what was said of them before.

        Raises:
            TrainingError: the batch can't be shared out evenly.
        """
        drawn = self.rows[self.sampler.draw(rng)]
        seeds = rng.integers(2**62, size=len(drawn))
        check_share(len(drawn), share.step)
        mine = drawn[share]
        batch = {
            "crops": self.faces.varied(mine, seeds[share]),
            "people": torch.from_numpy(self.faces.person[mine]),
        }
        if self.kept is not None:
            batch["kept"] = torch.from_numpy(self.kept.samples.arrays()["embedding"][mine])
        return batch

    def losses(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the loss of all workers' faces, the share of all triplets with one, and mean distances of pairs.

        Raises:
            TrainingError: the batch holds no valid triplet.
        """
        own = network(batch["crops"]).float()
        with torch.autocast(own.device.type, enabled=False):
            embeddings, people = gather_rows(own), gather_rows(batch["people"])
            if not has_triplets(people):
                raise TrainingError(
                    "a batch holds no valid triplet, which takes two faces of one person and one of another: change "
                    "--people, --faces or --others"
                )
            distances = squared_distances(embeddings)
            apart = distances.detach()
            of_triplets = triplet_losses(distances, MINING[self.mining](apart, people, self.margin), self.margin)
            loss = of_triplets.sum() / max(len(of_triplets), 1)
            positive, negative = mean_distances(apart, people)
            active = active_share(apart, people, self.margin)
            figures = {"active": active, "positive": positive, "negative": negative}
            if self.kept is not None:
                figures["kept"] = (own - batch["kept"]).square().sum(dim=1).mean()
                loss = loss + self.kept.weight * figures["kept"]
        return {"loss": loss, **figures}

    def watch(self, progress: Progress) -> None:
        """Name a collapse: all faces get about the same vector, and the loss stays at the margin.

        Raises:
            TrainingError: it is one.
        """
        if progress.step > progress.steps / 10 and progress.losses["negative"] < COLLAPSED:
            raise TrainingError(
                f"the network has collapsed: at step {progress.step:,} faces of different people lie "
                f"{progress.losses['negative']:.1e} apart (squared). Train with --mining semi-hard, or with a smaller "
                "--learning-rate"
            )

    def judge(self, network: nn.Module) -> Mapping[str, float]:
        """Return how well held-out people are told apart (`judging.judge`).

        Where faces are worn, and what was said of them as they are is kept, that is what the network should say.
        """
        worn = not self.faces.variation.wear.does_nothing
        wanted = self.kept.samples.arrays()["embedding"] if self.kept is not None and worn else None
        return judge(network, self.faces, self.judged_rows, wanted)
