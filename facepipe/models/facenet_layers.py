"""What the layers of Inception-ResNet-v1 are called: here, in facenet's TensorFlow graph, in facenet-pytorch."""

_SQUARE = ("Conv2d_1x1",), ("Conv2d_0a_1x1", "Conv2d_0b_3x3"), ("Conv2d_0a_1x1", "Conv2d_0b_3x3", "Conv2d_0c_3x3")
_LONG = ("Conv2d_1x1",), ("Conv2d_0a_1x1", "Conv2d_0b_1x7", "Conv2d_0c_7x1")
_SHORT = ("Conv2d_1x1",), ("Conv2d_0a_1x1", "Conv2d_0b_1x3", "Conv2d_0c_3x1")
_REDUCE_A = ("Conv2d_1a_3x3",), ("Conv2d_0a_1x1", "Conv2d_0b_3x3", "Conv2d_1a_3x3")
_REDUCE_B = (
    ("Conv2d_0a_1x1", "Conv2d_1a_3x3"),
    ("Conv2d_0a_1x1", "Conv2d_1a_3x3"),
    ("Conv2d_0a_1x1", "Conv2d_0b_3x3", "Conv2d_1a_3x3"),
)
# One line a block: its name here, in facenet's TensorFlow graph and in facenet-pytorch, and the graph's branches.
_BLOCKS: tuple[tuple[str, str, str, tuple[tuple[str, ...], ...]], ...] = (
    *((f"inception_resnet_a.{i}", f"Repeat/block35_{i + 1}", f"repeat_1.{i}", _SQUARE) for i in range(5)),
    ("reduction_a", "Mixed_6a", "mixed_6a", _REDUCE_A),
    *((f"inception_resnet_b.{i}", f"Repeat_1/block17_{i + 1}", f"repeat_2.{i}", _LONG) for i in range(10)),
    ("reduction_b", "Mixed_7a", "mixed_7a", _REDUCE_B),
    *((f"inception_resnet_c.{i}", f"Repeat_2/block8_{i + 1}", f"repeat_3.{i}", _SHORT) for i in range(5)),
    ("inception_resnet_c.5", "Block8", "block8", _SHORT),
)
_STEM = {"1a": "3x3", "2a": "3x3", "2b": "3x3", "3b": "1x1", "4a": "3x3", "4b": "3x3"}


def layer_names() -> list[tuple[str, str, str]]:
    """Return, for each convolution with a ReLU, its name here, in facenet's graph and in facenet-pytorch."""
    names = [(f"stem.conv_{name}", f"Conv2d_{name}_{size}", f"conv2d_{name}") for name, size in _STEM.items()]
    for ours, scope, theirs, branches in _BLOCKS:
        for i, branch in enumerate(branches):
            for j, layer in enumerate(branch):
                place = f"{theirs}.branch{i}" if len(branch) == 1 else f"{theirs}.branch{i}.{j}"
                names.append((f"{ours}.branches.{i}.{j}", f"{scope}/Branch_{i}/{layer}", place))
    return names


def projection_names() -> list[tuple[str, str, str]]:
    """Return, for each Inception-ResNet block, its name here, in facenet's graph and in facenet-pytorch."""
    return [(ours, scope, theirs) for ours, scope, theirs, _ in _BLOCKS if not ours.startswith("reduction")]
