"""DeepFace learns to classify people; what lies before its classifier is then scaled by the training's own maxima.

Source: Taigman, Yang, Ranzato and Wolf, "DeepFace: Closing the Gap to Human-Level Performance in Face Verification"
(CVPR 2014), sections 3.1 and 3.2.

Departs from the paper: AdamW instead of SGD with momentum; aligned crops are also shifted, scaled and relit a little.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from facepipe.alignment.aligning import grow_of
from facepipe.models.deepface_network import DeepFaceNetwork, sizes_of
from facepipe.models.tensors import part_of
from facepipe.training.face_samples import FaceSamples
from facepipe.training.identity_task import FaceClassifier, IdentityTask, as_images
from facepipe.training.judging import embed
from facepipe.training.loop import State
from facepipe.training.people import Ints, faces_of_each, split
from facepipe.training.recipe import Fit, RecogniserOptions
from facepipe.training.samples import Samples

CLASSIFIER = "classifier"  # folder of its checkpoints
STEPS = 700
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class DeepFaceOptions(RecogniserOptions):
    """What can be chosen.

    Attributes:
        width: factor on all channels and features, above 0, to 1.
        input_size: of the network, in pixels, even, at least 72.
        least_faces: of a person whom the network tells apart.
    """

    width: float = 0.375
    input_size: int = 88
    alignment: str = "3d"
    least_faces: int = 2

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            WrongUsageError: see `deepface_network.sizes_of`.
        """
        sizes_of(self.width, self.input_size)


@dataclass(frozen=True)
class MakeClassifier:
    """Makes the network; picklable."""

    options: DeepFaceOptions

    def __call__(self, people: int) -> FaceClassifier:
        """Return it, for so many people."""
        chosen = self.options
        return FaceClassifier(DeepFaceNetwork(chosen.width, chosen.input_size, people, chosen.alignment))


def train_deepface(samples: Samples, folder: Path, options: DeepFaceOptions, fit: Fit) -> State:
    """Return the weights of DeepFace, without its classifier, with its features' maxima.

    Args:
        samples: see `training.face_samples.FaceSamples`; aligned as the options say.
        folder: for checkpoints; what is there already is not done again.
        options: see there.
        fit: trains a network.

    Raises:
        TrainingError: see `people.split`.
    """
    faces = FaceSamples(samples, options.input_size, grow_of(options.alignment), options.variation)
    rows, judged = split(faces.person, options.seed)
    classified = rows[faces_of_each(faces.person[rows]) >= options.least_faces]
    task = IdentityTask(MakeClassifier(options), faces, classified, judged)
    plan = options.plan(STEPS, LEARNING_RATE)
    learned = part_of(fit.network(task, plan, folder / CLASSIFIER, "deepface"), "trunk.")
    trunk = {name: value for name, value in learned.items() if not name.startswith("F8.")}
    return {**trunk, "maxima": _maxima(trunk, options, faces, rows)}


def _maxima(trunk: State, options: DeepFaceOptions, faces: FaceSamples, rows: Ints) -> torch.Tensor:
    """Return the greatest value (D,) that each feature takes on the faces that were learned from."""
    network = DeepFaceNetwork(options.width, options.input_size)
    network.load_state_dict(trunk)
    network.eval()
    features = embed(lambda crops: network.features(as_images(crops, network)), faces, rows)
    return torch.from_numpy(features.max(axis=0))
