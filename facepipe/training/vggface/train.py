"""VGG-Face learns to classify people, and then, its classifier cut off, a projection by triplets.

Source: Parkhi, Vedaldi and Zisserman, "Deep Face Recognition" (BMVC 2015), sections 4.1, 4.2 and 4.4.

Departs from the paper: AdamW instead of SGD with momentum; crops are shifted, scaled and relit rather than cut at
random from images of 256 px; in a batch triplets are chosen as FaceNet's are, semi-hard ones by default, where the
paper takes some of those that violate the margin.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from facepipe.alignment.box_crop import FACENET_GROW
from facepipe.errors import WrongUsageError
from facepipe.models.tensors import part_of
from facepipe.models.vgg_network import VGG, sizes_of
from facepipe.training.batches import check_share
from facepipe.training.face_samples import FaceSamples
from facepipe.training.identity_task import FaceClassifier, IdentityTask, embed_crops
from facepipe.training.loop import State
from facepipe.training.people import faces_of_each, split
from facepipe.training.recipe import Fit
from facepipe.training.samples import Samples
from facepipe.training.triplet_task import TripletOptions, TripletTask

# The two stages, what there is without the first one, and the folders of their checkpoints.
CLASSIFIER, PROJECTION, TRIPLETS = "classifier", "projection", "triplets"
STEPS = {CLASSIFIER: 2400, PROJECTION: 300}
LEARNING_RATE = {CLASSIFIER: 1e-3, PROJECTION: 1e-3}
FINE_TUNING_RATE = 1e-4


@dataclass(frozen=True)
class VggFaceOptions(TripletOptions):
    """What can be chosen.

    Attributes:
        configuration: A, B or D.
        width: factor on all channels, above 0, to 1.
        input_size: of the network, in pixels, a multiple of 32.
        projection: numbers of an embedding; 0: the second stage is left out, and fc7's numbers are the embedding.
        least_faces: of a person whom the first stage tells apart; all others are negatives in the second.
        fine_tune: the second stage trains the whole network rather than the projection alone.
        triplets_alone: there is no first stage: triplets teach the whole network, from as many faces as both stages.
    """

    configuration: str = "D"
    width: float = 0.25
    input_size: int = 64
    projection: int = 256
    least_faces: int = 2
    fine_tune: bool = False
    triplets_alone: bool = False
    people: int = 24
    faces: int = 4
    others: int = 32

    def __post_init__(self) -> None:
        """Check what was chosen.

        Raises:
            WrongUsageError: see `TripletOptions` and `vgg_network.sizes_of`; triplets have nothing to teach; there is
                no second stage to be fine-tuned.
        """
        super().__post_init__()
        sizes_of(self.width, self.input_size)
        if not self.projection and (self.triplets_alone or self.fine_tune):
            asked = "--triplets-alone" if self.triplets_alone else "--fine-tune"
            raise WrongUsageError(f"{asked} teaches a projection: leave out --projection 0")
        if self.triplets_alone and self.fine_tune:
            raise WrongUsageError("--triplets-alone teaches the whole network already: leave out --fine-tune")

    @property
    def learns_by_triplets(self) -> bool:
        """Whether there is a second stage."""
        return self.projection > 0


class FaceProjection(nn.Module):
    """The second stage's network: embeddings of unit length of crops; its trunk may be frozen."""

    def __init__(self, trunk: VGG, *, frozen: bool) -> None:
        super().__init__()
        self.trunk = trunk
        self._frozen = frozen
        if frozen:
            for name, parameter in trunk.named_parameters():
                parameter.requires_grad_(name.startswith("projection."))

    def train(self, mode: bool = True) -> "FaceProjection":
        """Switch dropout on or off; in a frozen trunk it stays off."""
        super().train(mode)
        if self._frozen:
            self.trunk.eval()
        return self

    def forward(self, crops: Tensor) -> Tensor:
        """Return embeddings (B, D) of crops (B, S, S, 3) uint8 RGB."""
        return embed_crops(self.trunk, crops)


@dataclass(frozen=True)
class MakeClassifier:
    """Makes the first stage's network; picklable."""

    options: VggFaceOptions

    def __call__(self, people: int) -> FaceClassifier:
        """Return it, for so many people."""
        chosen = self.options
        return FaceClassifier(VGG(chosen.configuration, chosen.width, chosen.input_size, people))


@dataclass(frozen=True)
class MakeProjection:
    """Makes the second stage's network; picklable.

    Attributes:
        options: see there.
        trunk: weights of the first stage; None: from scratch, to be learned by triplets alone.
    """

    options: VggFaceOptions
    trunk: State | None

    def __call__(self) -> FaceProjection:
        """Return it."""
        chosen = self.options
        network = VGG(chosen.configuration, chosen.width, chosen.input_size, projection=chosen.projection)
        if self.trunk is not None:
            network.load_state_dict(self.trunk, strict=False)  # all but the projection, which is new
        return FaceProjection(network, frozen=self.trunk is not None and not chosen.fine_tune)


def train_vggface(samples: Samples, folder: Path, options: VggFaceOptions, fit: Fit) -> State:
    """Return the weights of VGG, without its classifier.

    Args:
        samples: see `training.face_samples.FaceSamples`.
        folder: for checkpoints of both stages; what is there already is not done again.
        options: see there.
        fit: trains a network.

    Raises:
        TrainingError: see `people.PeopleSampler`, `people.split` and `batches.check_share`.
    """
    faces = FaceSamples(samples, options.input_size, FACENET_GROW, options.variation)
    rows, judged = split(faces.person, options.seed)
    triplets = TripletTask.of(options, MakeProjection(options, None), faces, rows, judged)
    if options.projection:  # what the second stage can't do is said before the first, which takes longest
        check_share(triplets.sampler.rows, fit.workers)
    if options.triplets_alone:
        steps = STEPS[CLASSIFIER] * IdentityTask.batch_faces // triplets.sampler.rows + STEPS[PROJECTION]
        plan = options.plan(steps, LEARNING_RATE[CLASSIFIER])  # as many faces as both stages see
        return part_of(fit.network(triplets, plan, folder / TRIPLETS, f"vggface, {TRIPLETS}"), "trunk.")
    classified = rows[faces_of_each(faces.person[rows]) >= options.least_faces]
    classifier = IdentityTask(MakeClassifier(options), faces, classified, judged)
    plan = options.plan(STEPS[CLASSIFIER], LEARNING_RATE[CLASSIFIER])
    trunk = trunk_of(fit.network(classifier, plan, folder / CLASSIFIER, f"vggface, {CLASSIFIER}"))
    if not options.projection:
        return trunk
    triplets = replace(triplets, make_network=MakeProjection(options, trunk))
    usual = FINE_TUNING_RATE if options.fine_tune else LEARNING_RATE[PROJECTION]
    plan = options.plan(STEPS[PROJECTION], usual, stage=1)
    return part_of(fit.network(triplets, plan, folder / PROJECTION, f"vggface, {PROJECTION}"), "trunk.")


def trunk_of(classifier: State) -> State:
    """Return the weights of VGG without its classifier, of what the first stage has learned."""
    return {name: value for name, value in part_of(classifier, "trunk.").items() if not name.startswith("fc8.")}
