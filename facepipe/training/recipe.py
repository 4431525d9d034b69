"""What every training is given: its options, and a `Fit` that trains networks and shows how far it is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facepipe.models.distances import Distances
from facepipe.training.face_crops import CropVariation
from facepipe.training.labels import Labels
from facepipe.training.loop import Plan, Progress, RaySettings, State, Task, fit
from facepipe.training.photos import Variation
from facepipe.training.sources import hash_seed, passes_of

Say = Callable[[str], None]

REPORTS = 30  # on a stage of a recogniser's training


@dataclass(frozen=True)
class TrainingOptions:
    """What can be chosen of every training.

    Attributes:
        seed: decides all that is random.
        effort: factor above 0 on the steps, and on the samples of detectors: 1 takes minutes.
        learning_rate: the greatest one, above 0; None: the recipe's.
    """

    seed: int = 0
    effort: float = 1.0
    learning_rate: float | None = None

    def steps_of(self, steps: int) -> int:
        """Return how many steps are done where effort 1 does so many."""
        return max(1, round(steps * self.effort))


@dataclass(frozen=True)
class DetectorOptions(TrainingOptions):
    """What can be chosen of every detector's training.

    Attributes:
        variation: how photos are varied.
    """

    variation: Variation = field(default_factory=Variation)

    def faces_of(self, faces: int) -> int:
        """Return how many faces a source shows where effort 1 shows so many."""
        return max(1, round(faces * self.effort))


@dataclass(frozen=True)
class RecogniserOptions(TrainingOptions):
    """What can be chosen of every recogniser's training.

    Attributes:
        variation: how crops of faces are varied.
        mean: (D,) float32, the mean embedding that goes with the weights; None: none does.
        distances: for grouping, that go with weights that are adapted; None: those for FaceNet.
        alignment: of the faces in the samples, `box`, `2d` or `3d`.
        fiducials: that they were aligned by, `detector` or `dlib`.
    """

    variation: CropVariation = field(default_factory=CropVariation)
    mean: np.ndarray | None = field(default=None, repr=False)
    distances: Distances | None = None
    alignment: str = "box"
    fiducials: str = "detector"

    def plan(self, steps: int, rate: float, stage: int = 0) -> Plan:
        """Return how long and how fast a network of a recogniser learns, with REPORTS reports on it.

        Args:
            steps: at effort 1.
            rate: the recipe's learning rate.
            stage: of the recipe; each has random numbers of its own.
        """
        done = self.steps_of(steps)
        report = max(1, done // REPORTS)
        seed = hash_seed(self.seed, stage)
        return Plan(done, self.learning_rate or rate, seed=seed, report_steps=report, checkpoint_steps=3 * report)

    @property
    def adapts(self) -> bool:
        """Whether given weights are adapted, so that what fits those fits the result."""
        return False

    @property
    def learns_by_triplets(self) -> bool:
        """Whether triplets are learned from, in which a person with one face may be the other."""
        return False


@dataclass(frozen=True)
class Fit:
    """Trains networks, in this process or on Ray, and tells how far it is.

    Attributes:
        ray: None: in this process.
        show: called at each report with what is trained.
        say: called with a line about what is done between trainings.
    """

    ray: RaySettings | None = None
    show: Callable[[str, Progress], None] = lambda _name, _progress: None
    say: Say = lambda _line: None

    @property
    def workers(self) -> int:
        """How many processes share a batch."""
        return 1 if self.ray is None else self.ray.workers

    def network(self, task: Task, plan: Plan, folder: Path, name: str) -> State:
        """Return a task's trained network (`loop.fit`)."""
        return fit(task, plan, folder, ray=self.ray, on_progress=lambda progress: self.show(name, progress))

    @contextmanager
    def mining(self, name: str, sources: Sequence[Labels], faces: int) -> Iterator[Callable[[int], None]]:
        """Say how many photos have been looked at for samples, while the block runs."""
        total = sum(len(labels.photos) * passes_of(labels, faces) for labels in sources)
        yield lambda shown: self.say(f"samples for {name}: {shown:,} of about {total:,} photos")
