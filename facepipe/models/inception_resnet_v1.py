"""Inception-ResNet-v1, the network behind the FaceNet embeddings.

Source: Szegedy, Ioffe, Vanhoucke and Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on
Learning" (AAAI 2017, arXiv 1602.07261), figures 10 to 15.

Departs from the paper: faces of 160 x 160 instead of 299 x 299; batch norms are folded into the convolutions; the last
block C has neither scaling nor ReLU; a bottleneck of 512 numbers takes the classifier's place. So were the weights
trained that are used here (facenet, models 20180402-114759 and 20180408-102900).
"""

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional as F

from facepipe.models.split_bfloat16 import split_convolutions
from facepipe.models.tensors import State

INPUT_SIZE = 160
DIMENSION = 512
ARCHITECTURE = "inception_resnet_v1"


class ConvReLU(nn.Conv2d):
    """A convolution with its folded batch norm, then a ReLU; keeps height and width where `same` is set."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int | tuple[int, int], *, stride: int = 1, same: bool = False
    ) -> None:
        size = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (size[0] // 2, size[1] // 2) if same else (0, 0)
        super().__init__(channels_in, channels_out, size, stride=stride, padding=padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations, never negative."""
        return F.relu(super().forward(x), inplace=True)


class InceptionResNetBlock(nn.Module):
    """Parallel branches whose joint 1x1 projection, scaled down, is added to the input (section 3.3 of the paper)."""

    def __init__(self, branches: list[nn.Sequential], width: int, channels: int, scale: float, relu: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.project = nn.Conv2d(width, channels, 1)
        self.scale = scale
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return activations of the input's shape."""
        inner = x.to(self.project.weight.dtype)
        residual = self.project(torch.cat([branch(inner) for branch in self.branches], dim=1))  # (B, channels, H, W)
        x = torch.add(x, residual, alpha=self.scale)  # one pass over memory where `x + scale * residual` takes two
        return F.relu(x, inplace=True) if self.relu else x


class Reduction(nn.Module):
    """Parallel branches that halve height and width; the last one is the 3x3 max pooling of the input."""

    def __init__(self, branches: list[nn.Sequential]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the branches' activations side by side, pooling last."""
        inner = x.to(next(self.parameters()).dtype)
        return torch.cat([*(branch(inner) for branch in self.branches), F.max_pool2d(x, 3, stride=2)], dim=1)


def _channels(width: float) -> Callable[[int], int]:
    """Return what gives a layer's channels from those at width 1, all of them multiples of 8.

    Raises:
        ValueError: the width is no multiple of 1/8.
    """
    eighths = round(8 * width)
    if eighths != 8 * width or eighths < 1:
        raise ValueError(f"the width must be a multiple of 1/8, not {width}")
    return lambda channels: channels * eighths // 8


def stem(width: float = 1.0) -> nn.Sequential:
    """Return the stem: (B, 3, 160, 160) becomes (B, 256, 17, 17) (figure 14)."""
    c = _channels(width)
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv_1a=ConvReLU(3, c(32), 3, stride=2),
            conv_2a=ConvReLU(c(32), c(32), 3),
            conv_2b=ConvReLU(c(32), c(64), 3, same=True),
            pool_3a=nn.MaxPool2d(3, stride=2),
            conv_3b=ConvReLU(c(64), c(80), 1),
            conv_4a=ConvReLU(c(80), c(192), 3),
            conv_4b=ConvReLU(c(192), c(256), 3, stride=2),
        )
    )


def inception_resnet_a(width: float = 1.0) -> InceptionResNetBlock:
    """Return a 17 x 17 block (figure 10; 35 x 35 at the paper's input size)."""
    c = _channels(width)
    branches = [
        nn.Sequential(ConvReLU(c(256), c(32), 1)),
        nn.Sequential(ConvReLU(c(256), c(32), 1), ConvReLU(c(32), c(32), 3, same=True)),
        nn.Sequential(
            ConvReLU(c(256), c(32), 1), ConvReLU(c(32), c(32), 3, same=True), ConvReLU(c(32), c(32), 3, same=True)
        ),
    ]
    return InceptionResNetBlock(branches, width=c(96), channels=c(256), scale=0.17, relu=True)


def reduction_a(width: float = 1.0) -> Reduction:
    """Return the step from 17 x 17 x 256 to 8 x 8 x 896 (figure 7 with k, l, m, n = 192, 192, 256, 384)."""
    c = _channels(width)
    return Reduction(
        [
            nn.Sequential(ConvReLU(c(256), c(384), 3, stride=2)),
            nn.Sequential(
                ConvReLU(c(256), c(192), 1),
                ConvReLU(c(192), c(192), 3, same=True),
                ConvReLU(c(192), c(256), 3, stride=2),
            ),
        ]
    )


def inception_resnet_b(width: float = 1.0) -> InceptionResNetBlock:
    """Return an 8 x 8 block (figure 11; 17 x 17 at the paper's input size)."""
    c = _channels(width)
    branches = [
        nn.Sequential(ConvReLU(c(896), c(128), 1)),
        nn.Sequential(
            ConvReLU(c(896), c(128), 1),
            ConvReLU(c(128), c(128), (1, 7), same=True),
            ConvReLU(c(128), c(128), (7, 1), same=True),
        ),
    ]
    return InceptionResNetBlock(branches, width=c(256), channels=c(896), scale=0.10, relu=True)


def reduction_b(width: float = 1.0) -> Reduction:
    """Return the step from 8 x 8 x 896 to 3 x 3 x 1792 (figure 12)."""
    c = _channels(width)
    return Reduction(
        [
            nn.Sequential(ConvReLU(c(896), c(256), 1), ConvReLU(c(256), c(384), 3, stride=2)),
            nn.Sequential(ConvReLU(c(896), c(256), 1), ConvReLU(c(256), c(256), 3, stride=2)),
            nn.Sequential(
                ConvReLU(c(896), c(256), 1),
                ConvReLU(c(256), c(256), 3, same=True),
                ConvReLU(c(256), c(256), 3, stride=2),
            ),
        ]
    )


def inception_resnet_c(width: float = 1.0, scale: float = 0.20, relu: bool = True) -> InceptionResNetBlock:
    """Return a 3 x 3 block (figure 13; 8 x 8 at the paper's input size)."""
    c = _channels(width)
    branches = [
        nn.Sequential(ConvReLU(c(1792), c(192), 1)),
        nn.Sequential(
            ConvReLU(c(1792), c(192), 1),
            ConvReLU(c(192), c(192), (1, 3), same=True),
            ConvReLU(c(192), c(192), (3, 1), same=True),
        ),
    ]
    return InceptionResNetBlock(branches, width=c(384), channels=c(1792), scale=scale, relu=relu)


class InceptionResNetV1(nn.Module):
    """Faces become 512 numbers each; weights are random until a state dict is loaded.

    Blocks may compute in shorter numbers than the stream that they add to, which has the bottleneck's type.

    Args:
        width: factor on all channels but the 512 numbers, a multiple of 1/8.

    Attributes:
        input_size: side of the images it takes, in pixels.
        dimension: of its embeddings.
    """

    input_size = INPUT_SIZE
    dimension = DIMENSION

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.stem = stem(width)
        self.inception_resnet_a = nn.Sequential(*(inception_resnet_a(width) for _ in range(5)))
        self.reduction_a = reduction_a(width)
        self.inception_resnet_b = nn.Sequential(*(inception_resnet_b(width) for _ in range(10)))
        self.reduction_b = reduction_b(width)
        self.inception_resnet_c = nn.Sequential(
            *(inception_resnet_c(width) for _ in range(5)), inception_resnet_c(width, scale=1.0, relu=False)
        )
        self.bottleneck = nn.Linear(_channels(width)(1792), DIMENSION)

    @classmethod
    def shaped_like(cls, state: State) -> "InceptionResNetV1":
        """Return a network of the width that a state dict tells, its weights not loaded; the usual one if it can't."""
        first = state.get("stem.conv_1a.weight")
        return cls(len(first) / 32 if first is not None and first.ndim and len(first) % 4 == 0 and len(first) else 1.0)

    def on_tiles(self) -> "InceptionResNetV1":
        """Return a copy for inference on a processor's matrix tiles, in bfloat16 but for the stream between blocks.

        The stem's weights are split in two: rounded, they would make three quarters of the embeddings' error.
        """
        network = deepcopy(self).eval().bfloat16()
        network.stem = split_convolutions(self.stem, ConvReLU)
        network.bottleneck.float().load_state_dict(self.bottleneck.state_dict())
        return network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the raw embeddings, not yet of unit length.

        Args:
            images: (B, 3, 160, 160) floating point, RGB, (x - 127.5) / 128.

        Returns:
            (B, 512) of the bottleneck's type; (0, 512) for none.
        """
        x = self.stem(images).to(self.bottleneck.weight.dtype)  # (B, 256, 17, 17)
        x = self.inception_resnet_a(x)
        x = self.reduction_a(x)  # (B, 896, 8, 8)
        x = self.inception_resnet_b(x)
        x = self.reduction_b(x)  # (B, 1792, 3, 3)
        x = self.inception_resnet_c(x)
        x = x.mean(dim=(2, 3))  # (B, 1792)
        raw: torch.Tensor = self.bottleneck(x)
        return raw
