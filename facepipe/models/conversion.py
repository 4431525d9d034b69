"""Weights as others publish them become state dicts of this project's networks.

Everything is float32, batch norms are folded in float64, so that the result is the same to the bit on every machine and
its SHA-256 can be pinned.
"""

from collections.abc import Mapping

import numpy as np
import torch

from facepipe.errors import WeightsError
from facepipe.models.architectures import check_shapes
from facepipe.models.facenet_layers import layer_names, projection_names
from facepipe.models.inception_resnet_v1 import ARCHITECTURE, ConvReLU, InceptionResNetBlock, InceptionResNetV1
from facepipe.models.tensorflow_graph import Node, constant, read_graph

BATCH_NORM_EPSILON = 0.001  # of both sources; torch's own default is 1e-5

StateDict = dict[str, torch.Tensor]


def facenet_from_graph(data: bytes) -> StateDict:
    """Return the state dict of InceptionResNetV1 from facenet's frozen TensorFlow graph.

    The graph's strides, paddings and residual scales are compared with the module's on the way.

    Args:
        data: a serialized GraphDef whose batch norms are folded into the convolutions, the bottleneck's excepted.

    Raises:
        WeightsError: the bytes are no such graph.
    """
    graph = {name.removeprefix("InceptionResnetV1/"): node for name, node in read_graph(data).items()}
    with torch.device("meta"):
        network = InceptionResNetV1()
    state: StateDict = {}
    for ours, scope, _ in layer_names():
        _check_convolution(graph, scope, network.get_submodule(ours))
        state[f"{ours}.weight"] = _convolution_weight(graph, scope)
        state[f"{ours}.bias"] = _tensor(constant(graph, f"{scope}/Conv2D_bn_offset"))
    for ours, scope, _ in projection_names():
        block = network.get_submodule(ours)
        scale = constant(graph, f"{scope}/mul/x")
        if not isinstance(block, InceptionResNetBlock) or scale.shape != () or abs(float(scale) - block.scale) > 1e-6:
            raise WeightsError(f"the TensorFlow graph scales the residuals of {scope} by {scale}: another network")
        state[f"{ours}.project.weight"] = _convolution_weight(graph, f"{scope}/Conv2d_1x1")
        state[f"{ours}.project.bias"] = _tensor(constant(graph, f"{scope}/Conv2d_1x1/biases"))
    norm = "Bottleneck/BatchNorm"
    weight, bias = fold_batch_norm(
        constant(graph, "Bottleneck/weights").T,  # (512, 1792)
        gamma=constant(graph, f"{norm}/Const"),
        beta=constant(graph, f"{norm}/beta"),
        mean=constant(graph, f"{norm}/moving_mean"),
        variance=constant(graph, f"{norm}/moving_variance"),
    )
    state["bottleneck.weight"], state["bottleneck.bias"] = weight, bias
    check_shapes(state, ARCHITECTURE, "the TensorFlow graph")
    return state


def facenet_from_facenet_pytorch(theirs: Mapping[str, torch.Tensor]) -> StateDict:
    """Return the state dict of InceptionResNetV1 from one in facenet-pytorch's layout, batch norms folded.

    Args:
        theirs: `conv2d_1a.conv.weight`, `conv2d_1a.bn.weight` … `last_linear.weight`, `last_bn.*`; a classifier
            (`logits.*`) and counters of batches are left out.

    Raises:
        WeightsError: a tensor is missing, too much, or of the wrong shape.
    """
    source = "the state dict"
    left = {k: v for k, v in theirs.items() if not k.startswith("logits.") and not k.endswith(".num_batches_tracked")}

    def take(name: str) -> np.ndarray:
        if name not in left:
            raise WeightsError(f"{source} is not in facenet-pytorch's layout: the tensor {name!r} is missing")
        array: np.ndarray = left.pop(name).detach().numpy()
        return array

    def take_folded(weight: str, norm: str) -> tuple[torch.Tensor, torch.Tensor]:
        names = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
        return fold_batch_norm(take(weight), **{key: take(f"{norm}.{name}") for key, name in names.items()})

    state: StateDict = {}
    for ours, _, name in layer_names():
        state[f"{ours}.weight"], state[f"{ours}.bias"] = take_folded(f"{name}.conv.weight", f"{name}.bn")
    for ours, _, name in projection_names():
        state[f"{ours}.project.weight"] = _tensor(take(f"{name}.conv2d.weight"))
        state[f"{ours}.project.bias"] = _tensor(take(f"{name}.conv2d.bias"))
    state["bottleneck.weight"], state["bottleneck.bias"] = take_folded("last_linear.weight", "last_bn")
    if left:
        raise WeightsError(f"{source} is not in facenet-pytorch's layout: it has a tensor {min(left)!r} too many")
    check_shapes(state, ARCHITECTURE, source)
    return state


def mtcnn_from_facenet_pytorch(nets: Mapping[str, Mapping[str, torch.Tensor]]) -> StateDict:
    """Return one state dict, its names prefixed `pnet.`, `rnet.`, `onet.`, of the three networks' own.

    Raises:
        WeightsError: a tensor is missing, too much, or of the wrong shape.
    """
    state = {f"{net}.{name}": tensor.contiguous() for net, tensors in nets.items() for name, tensor in tensors.items()}
    check_shapes(state, "mtcnn", "the three state dicts")
    return state


def fold_batch_norm(
    weight: np.ndarray, *, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (weight, bias) of a bias-free layer followed by a batch norm (Ioffe and Szegedy 2015) as one layer.

    Args:
        weight: (C, ...), the layer's, output channels first.
        gamma: (C,), the norm's scale.
        beta: (C,), its offset.
        mean: (C,), its running mean.
        variance: (C,), its running variance; 0.001 is added.

    Raises:
        WeightsError: the shapes don't belong together.
    """
    if any(array.shape != weight.shape[:1] for array in (gamma, beta, mean, variance)):
        raise WeightsError(f"a batch norm of {gamma.shape} numbers follows a layer of shape {weight.shape}: damaged")
    scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + BATCH_NORM_EPSILON)  # (C,)
    folded = weight * scale.reshape(-1, *(1 for _ in weight.shape[1:]))
    return _tensor(folded), _tensor(beta - mean * scale)


def _check_convolution(graph: Mapping[str, Node], scope: str, layer: torch.nn.Module) -> None:
    """Raise WeightsError unless the graph's convolution strides and pads as the module's does."""
    node = graph.get(f"{scope}/Conv2D")
    if node is None or node.op != "Conv2D" or not isinstance(layer, ConvReLU):
        raise WeightsError(f"the TensorFlow graph has no convolution {scope!r}: it is of another network")
    strides, padding = node.attributes.get("strides"), node.attributes.get("padding")
    # SAME pads both sides alike only at stride 1 and odd sizes, which holds wherever this network uses it; for a 1x1
    # kernel the two are the same thing.
    same = max(layer.kernel_size) == 1 or (layer.padding != (0, 0)) == (padding == b"SAME")
    if strides != [1, layer.stride[0], layer.stride[1], 1] or padding not in (b"SAME", b"VALID") or not same:
        raise WeightsError(f"the TensorFlow graph's convolution {scope!r} strides or pads otherwise: another network")


def _convolution_weight(graph: Mapping[str, Node], scope: str) -> torch.Tensor:
    weight = constant(graph, f"{scope}/weights")
    if weight.ndim != 4:
        raise WeightsError(f"the TensorFlow graph's convolution {scope!r} is not two-dimensional: another network")
    return _tensor(weight.transpose(3, 2, 0, 1))  # height, width, in, out ► out, in, height, width


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
