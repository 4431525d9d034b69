"""The networks whose weights can be stored, and what a state dict of each must hold."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from facepipe.errors import WeightsError
from facepipe.models.inception_resnet_v1 import InceptionResNetV1
from facepipe.models.mtcnn_networks import ONet, PNet, RNet

# Each as a function of its networks by the prefix of their tensors' names.
ARCHITECTURES: dict[str, Callable[[], dict[str, nn.Module]]] = {
    "inception_resnet_v1": lambda: {"": InceptionResNetV1()},
    "mtcnn": lambda: {"pnet.": PNet(), "rnet.": RNet(), "onet.": ONet()},
}
Shapes = dict[str, tuple[int, ...]]


def expected_shapes(architecture: str) -> Shapes:
    """Return the shape of every tensor in a state dict of a known architecture.

    Raises:
        WeightsError: the architecture is unknown.
    """
    if architecture not in ARCHITECTURES:
        raise WeightsError(f"there is no architecture {architecture!r}: there are {', '.join(ARCHITECTURES)}")
    with torch.device("meta"):  # shapes alone: nothing is allocated or initialised
        networks = ARCHITECTURES[architecture]()
    return {
        prefix + name: tuple(tensor.shape)
        for prefix, network in networks.items()
        for name, tensor in network.state_dict().items()
    }


def check_shapes(state: Mapping[str, torch.Tensor], architecture: str, source: str) -> None:
    """Raise WeightsError naming the first tensor that is missing, too much, or of the wrong shape or type."""
    expected = expected_shapes(architecture)
    for name, shape in expected.items():
        if name not in state:
            raise WeightsError(f"{source} is no {architecture}: the tensor {name!r} is missing")
        if tuple(state[name].shape) != shape:
            have = tuple(state[name].shape)
            raise WeightsError(f"{source} is no {architecture}: the tensor {name!r} has the shape {have}, not {shape}")
        if state[name].dtype != torch.float32 or not bool(torch.isfinite(state[name]).all()):
            raise WeightsError(f"{source} is damaged: the tensor {name!r} holds something else than finite float32")
    if surplus := sorted(set(state) - set(expected)):
        raise WeightsError(f"{source} is no {architecture}: it has a tensor {surplus[0]!r} too many")
