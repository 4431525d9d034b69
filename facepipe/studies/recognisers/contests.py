"""Who is compared with whom: of each recogniser the ways of learning that its paper compares, and what it must beat."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn

from facepipe.alignment.aligning import grow_of
from facepipe.embedders.deepface import DeepFace
from facepipe.embedders.facenet import FaceNet
from facepipe.embedders.vggface import VGGFace
from facepipe.evaluation.eigenfaces import SIZE, Eigenfaces
from facepipe.evaluation.pair_metrics import LEARNED
from facepipe.models.cache import load_weights
from facepipe.models.deepface_network import DeepFaceNetwork
from facepipe.models.inception_resnet_v1 import INPUT_SIZE
from facepipe.models.mean import mean_embedding
from facepipe.models.vgg_network import VGG
from facepipe.stages.align_faces import Crops, ten_crops_of
from facepipe.studies.recognisers.course import Course, Entry
from facepipe.training.deepface.train import DeepFaceOptions
from facepipe.training.face_crops import CropVariation, Wear
from facepipe.training.face_samples import FaceSamples
from facepipe.training.facenet.train import SCRATCH_BATCH, FaceNetOptions, MakeNetwork
from facepipe.training.loop import FINISHED
from facepipe.training.people import NOBODY
from facepipe.training.vggface.train import CLASSIFIER, VggFaceOptions, trunk_of
from facepipe.trainings import WEIGHTS, read_weights

GIVEN = "facenet-casia-webface"
WORN = Wear(grey=True, height=40, quality=30)
EIGENFACES = "eigenfaces"
EIGENFACES_ALIGNMENT = "box"
FACENET_CROPS = Crops(INPUT_SIZE, grow_of("box"))


class Way(NamedTuple):
    """A way in which a recogniser learns.

    Attributes:
        entries: yields what is judged on a fold, for a seed.
        alignment: of the faces that it takes.
    """

    entries: Callable[[Course, int, int], Iterator[Entry]]
    alignment: str = "box"


class Contest(NamedTuple):
    """A recogniser's contest.

    Attributes:
        ways: in which it learns, by name.
        compared: pairs of rows: by how much the first is more accurate than the second.
    """

    ways: Mapping[str, Way]
    compared: tuple[tuple[str, str], ...]


def eigenfaces(course: Course, fold: int) -> Entry:
    """Return the baseline, fitted to the same faces."""
    faces = FaceSamples(course.samples(fold, EIGENFACES_ALIGNMENT), SIZE, (0.0, 0.0), CropVariation())
    learned = faces.plain(np.flatnonzero(faces.person != NOBODY)).numpy()
    return Entry(EIGENFACES, Eigenfaces.of(learned), Crops(SIZE, (0.0, 0.0)))


def _facenet_adapted(course: Course, fold: int, seed: int) -> Iterator[Entry]:
    """Yield the given weights and those adapted to worn photos, both on worn photos, too."""
    given, mean = load_weights(GIVEN, FaceNet.architecture), mean_embedding(GIVEN)
    options = FaceNetOptions(seed=seed, init=given, mean=mean, variation=CropVariation(wear=WORN))
    adapted = course.train("facenet", "adapted", options, fold)
    for name, state, training in (("given", given, None), ("adapted", read_weights(adapted / WEIGHTS), adapted)):
        embedder = FaceNet.of(state, mean)
        yield Entry(name, embedder, FACENET_CROPS, training=training)
        yield Entry(f"{name}, worn", embedder, FACENET_CROPS, WORN, training)


def _facenet_scratch(course: Course, fold: int, seed: int) -> Iterator[Entry]:
    """Yield a network that has learned nothing yet, and what triplets teach it."""
    scratch = FaceNetOptions(seed=seed, **SCRATCH_BATCH)
    untrained = _seeded(MakeNetwork(None, None, scratch.width), seed)
    yield Entry("untrained", FaceNet.of(untrained.trunk.state_dict()), FACENET_CROPS)
    training = course.train("facenet", "scratch", scratch, fold)
    yield Entry("from scratch", FaceNet.of(read_weights(training / WEIGHTS)), FACENET_CROPS, training=training)


def _vggface_stages(course: Course, fold: int, seed: int) -> Iterator[Entry]:
    """Yield a network that has learned nothing yet, and both stages."""
    options = VggFaceOptions(seed=seed, configuration="A")
    crops = Crops(options.input_size, grow_of("box"))
    network = _seeded(lambda: VGG(options.configuration, options.width, options.input_size), seed)
    yield Entry("untrained", VGGFace.of(network.state_dict()), crops)
    training = course.train("vggface", "staged", options, fold)
    classifier = training / CLASSIFIER
    yield Entry("first stage", VGGFace.of(trunk_of(read_weights(classifier / FINISHED))), crops, training=classifier)
    learned = read_weights(training / WEIGHTS)
    yield Entry("second stage", VGGFace.of(learned), crops, training=training)
    ten = ten_crops_of(crops)
    yield Entry("second stage, ten crops", VGGFace.of(learned, ten_crops=True), ten)


def _vggface_triplets(course: Course, fold: int, seed: int) -> Iterator[Entry]:
    """Yield what triplets alone teach, from as many faces as both stages."""
    options = VggFaceOptions(seed=seed, configuration="A", triplets_alone=True)
    training = course.train("vggface", "triplets", options, fold)
    crops = Crops(options.input_size, grow_of("box"))
    yield Entry("triplets alone", VGGFace.of(read_weights(training / WEIGHTS)), crops, training=training)


def _deepface(course: Course, fold: int, seed: int, *, alignment: str) -> Iterator[Entry]:
    """Yield the network on faces of an alignment; in space also by every metric, and before it has learned."""
    options = DeepFaceOptions(seed=seed, alignment=alignment, fiducials="dlib")
    crops = Crops(options.input_size, grow_of(alignment), alignment, "dlib")
    if alignment == "3d":
        network = _seeded(lambda: DeepFaceNetwork(options.width, options.input_size), seed)
        yield Entry("untrained", DeepFace.of(network.state_dict()), crops)
    training = course.train("deepface", alignment, options, fold, alignment)
    embedder = DeepFace.of(read_weights(training / WEIGHTS))
    yield Entry(alignment, embedder, crops, training=training)
    if alignment == "3d":
        for metric in LEARNED:
            yield Entry(f"{alignment}, {metric}", embedder, crops, metric=metric)


CONTESTS: Mapping[str, Contest] = {
    "facenet": Contest(
        {"adapted": Way(_facenet_adapted), "scratch": Way(_facenet_scratch)},
        (
            ("adapted, worn", "given, worn"),
            ("adapted", "given"),
            ("from scratch", "untrained"),
            ("from scratch", EIGENFACES),
        ),
    ),
    "vggface": Contest(
        {"stages": Way(_vggface_stages), "triplets": Way(_vggface_triplets)},
        (
            ("second stage", "first stage"),
            ("second stage", "triplets alone"),
            ("second stage, ten crops", "second stage"),
            ("second stage", "untrained"),
            ("second stage", EIGENFACES),
        ),
    ),
    "deepface": Contest(
        {kind: Way(partial(_deepface, alignment=kind), kind) for kind in ("3d", "2d", "box")},
        (
            ("3d", "2d"),
            ("3d", "box"),
            ("2d", "box"),
            ("3d, chi2", "3d"),
            ("3d, siamese", "3d"),
            ("3d", "untrained"),
            ("3d", EIGENFACES),
        ),
    ),
}


Network = TypeVar("Network", bound=nn.Module)


def _seeded(make: Callable[[], Network], seed: int) -> Network:
    """Return a network with weights of a seed, leaving the random numbers of others alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
