"""Faceness's networks: five that each answer to one part of a face, and one that classifies windows.

Source: Yang, Luo, Loy and Tang, "From Facial Parts Responses to Face Detection: A Deep Learning Approach", ICCV 2015,
section 3.1 (a network a part, its attributes as in table 1) and section 4 (classification and box regression).

Departs from the paper: networks of a few thousand numbers rather than AlexNet's, for processors; a part's response map
is learned from where the part lies, beside its attributes, rather than read out of a network that knows attributes
alone. Both take RGB as (pixel - 127.5) / 128.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from facepipe.models.tensors import State

PARTS = ("hair", "eyes", "nose", "mouth", "beard")
# Tensors beside the networks'. The parts' arrangement (`detectors.faceness_score`): each part's region; five weights, a
# bias, a floor. Calibration: the slope and the intercept that make the classifier's logits shares of faces.
TENSOR_SHAPES = {"arrangement.regions": (len(PARTS), 4), "arrangement.scale": (len(PARTS) + 2,), "calibration": (2,)}


class _Block(nn.Module):
    """A 3 x 3 convolution, batch normalisation while it learns, and a rectifier."""

    def __init__(self, before: int, after: int, stride: int, *, normalise: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride, padding=1, bias=not normalise)
        self.norm = nn.BatchNorm2d(after) if normalise else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu(self.norm(self.conv(x)), inplace=True)
        return y


class PartNet(nn.Module):
    """Fully convolutional: the response of one part in each cell of 4 x 4 px, and of its attributes there.

    A cell's answer depends on the 31 x 31 px around it, about the width of a face of the height at which parts are
    looked for (`FACE`).

    Attributes:
        attributes: how many attributes it knows.
    """

    cell = 4  # px
    reach = 16  # px to each side of a cell that its response depends on
    face = (20.0, 36.0)  # px, heights of faces whose parts it learns

    def __init__(self, attributes: int = 0, *, normalise: bool = False) -> None:
        super().__init__()
        self.attributes = attributes
        widths, strides = (3, 16, 24, 24, 24, 24), (2, 2, 1, 1, 1)
        self.blocks = nn.Sequential(
            *(
                _Block(before, after, stride, normalise=normalise)
                for before, after, stride in zip(widths, widths[1:], strides, strict=False)
            )
        )
        self.head = nn.Conv2d(widths[-1], 1 + attributes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, 1 + attributes, h, w) for images (B, 3, H, W); h = ceil(H / 4), w likewise.

        The first is the part's, the others are its attributes', in the order of training.
        """
        logits: Tensor = self.head(self.blocks(image))
        return logits


class FacenessClassifier(nn.Module):
    """Decides whether a window shows a face, and where the face's edges are; it sees what lies around the window."""

    size = 48  # px, side of its crops

    def __init__(self, *, normalise: bool = False) -> None:
        super().__init__()
        widths, strides = (3, 20, 32, 40, 64, 64, 96), (2, 2, 1, 2, 1, 2)
        self.blocks = nn.Sequential(
            *(
                _Block(before, after, stride, normalise=normalise)
                for before, after, stride in zip(widths, widths[1:], strides, strict=False)
            )
        )
        self.dense = nn.Linear(widths[-1] * 9, 160)
        self.head = nn.Linear(160, 5)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return face probability (N,) and edge offsets (N, 4), in units of the window's size, for (N, 3, 48, 48)."""
        x = F.relu(self.dense(self.blocks(crops).flatten(1)), inplace=True)
        answers = self.head(x)
        return torch.sigmoid(answers[:, 0]), answers[:, 1:]


def fold_normalisation(state: State) -> dict[str, Tensor]:
    """Return a learned network's state dict for the same network without batch normalisation: convolutions do both.

    Args:
        state: of a network with blocks that normalise; `….conv.weight` beside `….norm.weight` and the like.
    """
    folded = {name: value for name, value in state.items() if ".norm." not in name}
    for name in state:
        if not name.endswith(".norm.weight"):
            continue
        block = name.removesuffix(".norm.weight")
        mean, variance, shift = (state[f"{block}.norm.{part}"] for part in ("running_mean", "running_var", "bias"))
        kernel = state[f"{block}.conv.weight"]
        folded[f"{block}.conv.weight"], folded[f"{block}.conv.bias"] = fuse_conv_bn_weights(
            kernel, None, mean, variance, 1e-5, state[name], shift
        )
    return {name: value.detach() for name, value in folded.items()}


def attributes_of(state: State, part: str) -> int:
    """Return how many attributes a part's network knows, by its tensors; 0 where it is missing."""
    head = state.get(f"parts.{part}.head.bias")
    return 0 if head is None else max(0, len(head) - 1)


def faceness_networks(state: State) -> dict[str, nn.Module]:
    """Return the networks of a faceness state dict, untrained, by the prefix of their tensors' names."""
    parts = {f"parts.{part}.": PartNet(attributes_of(state, part)) for part in PARTS}
    return {**parts, "classifier.": FacenessClassifier()}
