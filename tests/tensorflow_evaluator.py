"""A second evaluation of a frozen TensorFlow graph, node by node, for tests: it knows operations, not the network.

Activations stay (B, H, W, C), as TensorFlow has them, and are only turned around inside an operation.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch.nn import functional as F

from facepipe.models.tensorflow_graph import Node

Values = dict[str, torch.Tensor]


def evaluate(graph: Mapping[str, Node], output: str, feeds: Values) -> torch.Tensor:
    """Return the value of a node, given the placeholders' values."""
    values = dict(feeds)
    pending = [output]
    while pending:  # depth first without recursion: graphs are deeper than Python's stack
        node = graph[pending[-1]]
        missing = [name for name in node.inputs if name not in values]
        if missing and node.name not in values:
            pending += missing
            continue
        if node.name not in values:
            values[node.name] = OPERATIONS[node.op](node, [values[name] for name in node.inputs])
        pending.pop()
    return values[output]


def _const(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    value = node.attributes["value"]
    assert isinstance(value, np.ndarray)
    return torch.from_numpy(value.copy())


def _windows(x: torch.Tensor, size: tuple[int, int], node: Node, fill: float) -> torch.Tensor:
    """Return the padded input as (B, C, H, W), padding as the graph's documentation defines SAME and VALID."""
    strides = node.attributes["strides"]
    assert isinstance(strides, list)
    x = x.permute(0, 3, 1, 2)
    if node.attributes["padding"] == b"VALID":
        return x
    pads: list[int] = []
    for axis in (3, 2):
        length, kernel, stride = x.shape[axis], size[axis - 2], strides[axis - 1]
        total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=fill)


def _conv(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    x, weights = inputs  # (B, H, W, C), (kernel height, kernel width, C, D)
    assert node.attributes["data_format"] == b"NHWC"
    assert node.attributes["dilations"] == [1, 1, 1, 1]
    strides = node.attributes["strides"]
    assert isinstance(strides, list)
    x = _windows(x, (weights.shape[0], weights.shape[1]), node, 0.0)
    return F.conv2d(x, weights.permute(3, 2, 0, 1), stride=tuple(strides[1:3])).permute(0, 2, 3, 1)


def _pool(function: Callable[..., torch.Tensor], fill: float) -> Callable[[Node, list[torch.Tensor]], torch.Tensor]:
    def pool(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
        size, strides = node.attributes["ksize"], node.attributes["strides"]
        assert isinstance(size, list)
        assert isinstance(strides, list)
        x = _windows(inputs[0], (size[1], size[2]), node, fill)
        return function(x, tuple(size[1:3]), tuple(strides[1:3])).permute(0, 2, 3, 1)

    return pool


def _batch_norm(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    x, scale, offset, mean, variance = inputs
    epsilon = node.attributes["epsilon"]
    assert isinstance(epsilon, float)
    assert node.attributes["is_training"] is False
    return (x - mean) / torch.sqrt(variance + epsilon) * scale + offset


def _sum(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    return inputs[0].sum(dim=inputs[1].reshape(-1).tolist(), keepdim=bool(node.attributes["keep_dims"]))


OPERATIONS: dict[str, Callable[[Node, list[torch.Tensor]], torch.Tensor]] = {
    "Const": _const,
    "Conv2D": _conv,
    "BiasAdd": lambda _, inputs: inputs[0] + inputs[1],
    "Add": lambda _, inputs: inputs[0] + inputs[1],
    "Mul": lambda _, inputs: inputs[0] * inputs[1],
    "Relu": lambda _, inputs: inputs[0].clamp(min=0),
    "Square": lambda _, inputs: inputs[0] ** 2,
    "Rsqrt": lambda _, inputs: 1 / torch.sqrt(inputs[0]),
    "Maximum": lambda _, inputs: torch.maximum(inputs[0], inputs[1]),
    "MatMul": lambda _, inputs: inputs[0] @ inputs[1],
    "Reshape": lambda _, inputs: inputs[0].reshape(inputs[1].tolist()),
    "ConcatV2": lambda _, inputs: torch.cat(inputs[:-1], dim=int(inputs[-1])),
    "MaxPool": _pool(F.max_pool2d, -torch.inf),
    "AvgPool": _pool(F.avg_pool2d, torch.nan),  # SAME would average over the part inside: not supported, not silent
    "FusedBatchNorm": _batch_norm,
    "Sum": _sum,
}
