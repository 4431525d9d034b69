"""The networks whose weights can be stored, and what a state dict of each must hold."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from facepipe.errors import WeightsError
from facepipe.models.ddfd_network import DDFDNetwork
from facepipe.models.deepface_network import DeepFaceNetwork
from facepipe.models.faceness_networks import TENSOR_SHAPES, faceness_networks
from facepipe.models.inception_resnet_v1 import InceptionResNetV1
from facepipe.models.mtcnn_networks import ONet, PNet, RNet
from facepipe.models.tensors import State
from facepipe.models.vgg_network import VGG

Shapes = dict[str, tuple[int, ...]]
_FLOATS = (torch.float32, torch.float16)


def _shapes_of(networks: Callable[[], Mapping[str, nn.Module]]) -> Callable[[State], Shapes]:
    """Return what gives the shapes of networks that are all of one size.

    Args:
        networks: by the prefix of their tensors' names.
    """

    def shapes(_state: State) -> Shapes:
        with torch.device("meta"):  # shapes alone: nothing is allocated or initialised
            built = networks()
        return {
            prefix + name: tuple(tensor.shape)
            for prefix, network in built.items()
            for name, tensor in network.state_dict().items()
        }

    return shapes


def _shapes_like(
    shaped_like: Callable[[State], nn.Module], usual: Callable[[], nn.Module]
) -> Callable[[State], Shapes]:
    """Return what gives the shapes of a network that comes in several sizes.

    Args:
        shaped_like: makes the network of the size that a state's tensors tell; a WeightsError where they tell none.
        usual: makes the one of its usual size, for then.
    """

    def network_of(state: State) -> nn.Module:
        try:
            return shaped_like(state)
        except WeightsError:
            return usual()

    return lambda state: _shapes_of(lambda: {"": network_of(state)})(state)


def _faceness_shapes(state: State) -> Shapes:
    """Return the shapes of faceness's tensors; a part's network may know any number of attributes."""
    return {**_shapes_of(lambda: faceness_networks(state))(state), **TENSOR_SHAPES}


def _hog_shapes(state: State) -> Shapes:
    """Return the shapes of `detectors.hog.model.HogModel`'s tensors; there may be any number of words and places."""
    words, length = state["codebook"].shape if "codebook" in state and state["codebook"].ndim == 2 else (256, 72)
    places = state["tables"].shape[0] if "tables" in state and state["tables"].ndim else 9
    return {
        "cell": (1,),
        "codebook": (words, length),
        "tables": (places, places, words),
        "bias": (1,),
        "box_mean": (4,),
        "box_tables": (places, places, words, 4),
        "calibration": (2,),
    }


# Each as a function from a state dict, by which those that come in several sizes know theirs, to its tensors' shapes.
ARCHITECTURES: dict[str, Callable[[State], Shapes]] = {
    "inception_resnet_v1": _shapes_like(InceptionResNetV1.shaped_like, InceptionResNetV1),
    "ddfd": _shapes_like(DDFDNetwork.shaped_like, DDFDNetwork),
    "faceness": _faceness_shapes,
    "hog": _hog_shapes,
    "vgg": _shapes_like(VGG.shaped_like, lambda: VGG(people=2622)),
    "deepface": _shapes_like(DeepFaceNetwork.shaped_like, DeepFaceNetwork),
    "mtcnn": _shapes_of(lambda: {"pnet.": PNet(), "rnet.": RNet(), "onet.": ONet()}),
}


def expected_shapes(architecture: str, state: State | None = None) -> Shapes:
    """Return the shape of every tensor in a state dict of a known architecture.

    Args:
        architecture: its name.
        state: from which those that come in several sizes know theirs; None: the usual size.

    Raises:
        WeightsError: the architecture is unknown.
    """
    if architecture not in ARCHITECTURES:
        raise WeightsError(f"there is no architecture {architecture!r}: there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[architecture](state or {})


def check_shapes(state: State, architecture: str, source: str) -> None:
    """Raise WeightsError naming the first tensor that is missing, too much, or of the wrong shape or type."""
    expected = expected_shapes(architecture, state)
    for name, shape in expected.items():
        if name not in state:
            raise WeightsError(f"{source} is no {architecture}: the tensor {name!r} is missing")
        if tuple(state[name].shape) != shape:
            have = tuple(state[name].shape)
            raise WeightsError(f"{source} is no {architecture}: the tensor {name!r} has the shape {have}, not {shape}")
        if state[name].dtype not in _FLOATS or not bool(torch.isfinite(state[name]).all()):
            raise WeightsError(f"{source} is damaged: the tensor {name!r} holds something else than finite floats")
    if surplus := sorted(set(state) - set(expected)):
        raise WeightsError(f"{source} is no {architecture}: it has a tensor {surplus[0]!r} too many")
