"""DeepFace as a classifier of people, and as features of faces.

Source: Taigman, Yang, Ranzato and Wolf, "DeepFace: Closing the Gap to Human-Level Performance in Face Verification"
(CVPR 2014), section 3.1 (C1-M2-C3-L4-L5-L6-F7-F8) and section 3.2 (features between 0 and 1, of unit length).

Departs from the paper: width and input size can be chosen; weights start as He et al. (2015) have it; where L4 to L6
would be empty, the input is refused.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facepipe.errors import WeightsError, WrongUsageError
from facepipe.models.locally_connected import LocallyConnected2d

ARCHITECTURE = "deepface"
CHANNELS = (32, 16, 16, 16, 16)  # of C1, C3, L4, L5 and L6, at width 1
FEATURES = 4096  # of F7, at width 1
KERNELS = (11, 9, 9, 7, 5)  # of C1, C3, L4, L5 and L6
L5_STRIDE = 2
LEAST_INPUT = 72  # pixels: with fewer L6 is empty; sizes are even
DROPOUT = 0.5  # after F7
ALIGNMENTS = ("box", "2d", "3d")  # how its faces can be aligned; the tensor `alignment` holds the index
_NO_WEIGHTS = "these are no weights of DeepFace: its layers are C1, C3, L4, L5, L6 and F7"


def sides_of(input_size: int) -> tuple[int, ...]:
    """Return the sides of what C1, M2, C3, L4, L5 and L6 give of an input, in pixels."""
    c1 = input_size - KERNELS[0] + 1
    m2 = c1 // 2
    c3 = m2 - KERNELS[1] + 1
    l4 = c3 - KERNELS[2] + 1
    l5 = (l4 - KERNELS[3]) // L5_STRIDE + 1
    return c1, m2, c3, l4, l5, l5 - KERNELS[4] + 1


def input_size_of(shapes: Mapping[str, Sequence[int]]) -> int:
    """Return the side of the images that a network of such tensors takes, in pixels.

    Raises:
        WeightsError: no DeepFace has such tensors.
    """
    try:
        l4 = math.isqrt(shapes["L4.bias"][0])
    except (KeyError, IndexError) as error:
        raise WeightsError(_NO_WEIGHTS) from error
    return 2 * (l4 + KERNELS[2] - 1 + KERNELS[1] - 1) + KERNELS[0] - 1


def alignment_at(index: float) -> str:
    """Return which of ALIGNMENTS a network's tensor `alignment` names.

    Raises:
        WeightsError: none.
    """
    if index not in range(len(ALIGNMENTS)):
        raise WeightsError(f"these weights of DeepFace name an alignment that there isn't: number {index}")
    return ALIGNMENTS[int(index)]


def sizes_of(width: float, input_size: int) -> tuple[list[int], int]:
    """Return the channels of C1, C3, L4, L5 and L6, and how many features F7 has, which tells the former, too.

    Args:
        width: factor on all of them.
        input_size: of the images, in pixels.

    Raises:
        WrongUsageError: the input is too small or odd, or the width leaves a layer empty.
    """
    if input_size < LEAST_INPUT or input_size % 2:
        raise WrongUsageError(
            f"DeepFace takes images of an even number of pixels, at least {LEAST_INPUT}, not of {input_size}"
        )
    features = round(FEATURES * width)
    channels = [round(count * features / FEATURES) for count in CHANNELS]
    if min(*channels, features) < 1:
        raise WrongUsageError(f"a width of {width} leaves a layer of DeepFace without channels")
    return channels, features


class DeepFaceNetwork(nn.Module):
    """A softmax classifier's scores, or the features before them.

    Attributes:
        input_size: side of the images it takes, in pixels.
        dimension: of its features.
        alignment: (1,) how the faces of its training were aligned, as an index into ALIGNMENTS.
        maxima: (D,) the greatest value that each feature took on the faces of its training; 1 before that.
    """

    alignment: Tensor
    maxima: Tensor

    def __init__(self, width: float = 1.0, input_size: int = 152, people: int = 0, alignment: str = "3d") -> None:
        """Build the network.

        Args:
            width: factor on all channels and on the features.
            input_size: in pixels, even, at least LEAST_INPUT.
            people: that F8 tells apart; 0: there is no F8.
            alignment: of ALIGNMENTS.

        Raises:
            WrongUsageError: see `sizes_of`.
        """
        super().__init__()
        (c1, c3, l4, l5, l6), self.dimension = sizes_of(width, input_size)
        sides = sides_of(input_size)
        self.input_size = input_size
        self.C1 = nn.Conv2d(3, c1, KERNELS[0])
        self.C3 = nn.Conv2d(c1, c3, KERNELS[1])
        self.L4 = LocallyConnected2d(c3, l4, sides[2], KERNELS[2])
        self.L5 = LocallyConnected2d(l4, l5, sides[3], KERNELS[3], L5_STRIDE)
        self.L6 = LocallyConnected2d(l5, l6, sides[4], KERNELS[4])
        self.F7 = nn.Linear(l6 * sides[5] ** 2, self.dimension)
        self.F8 = nn.Linear(self.dimension, people) if people else None
        self.register_buffer("maxima", torch.ones(self.dimension))
        self.register_buffer("alignment", torch.tensor([float(ALIGNMENTS.index(alignment))]))
        for layer in (self.C1, self.C3, self.F7):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(torch.as_tensor(layer.bias))

    @classmethod
    def shaped_like(cls, state: Mapping[str, Tensor]) -> "DeepFaceNetwork":
        """Return a network of the sizes that a state dict tells, its weights not loaded.

        Raises:
            WeightsError: no such network has a tensor of such a shape.
        """
        try:
            width = len(state["F7.weight"]) / FEATURES
            people = len(state["F8.weight"]) if "F8.weight" in state else 0
            return cls(width, input_size_of({name: tensor.shape for name, tensor in state.items()}), people)
        except (KeyError, IndexError, WrongUsageError) as error:
            raise WeightsError(_NO_WEIGHTS) from error

    def features(self, images: Tensor) -> Tensor:
        """Return F7 after its ReLU, (B, D), never negative.

        Args:
            images: (B, 3, S, S) float, RGB, 0 to 255.
        """
        x = F.relu(self.C1((images - 127.5) / 128))
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # M2
        x = F.relu(self.C3(x))
        for layer in (self.L4, self.L5, self.L6):
            x = F.relu(layer(x))
        return F.relu(self.F7(x.flatten(1)))

    def classify(self, images: Tensor) -> Tensor:
        """Return the scores of people (B, P) before the softmax (section 3.1)."""
        if self.F8 is None:
            raise ValueError("this network has no classifier")
        scores: Tensor = self.F8(F.dropout(self.features(images), DROPOUT, self.training))
        return scores

    def forward(self, images: Tensor) -> Tensor:
        """Return features between 0 and 1 on the training's faces, then of unit length, (B, D) (section 3.2).

        A feature that no face of the training had counts for nothing.
        """
        had = self.maxima > 0
        return F.normalize(self.features(images) / self.maxima.where(had, 1) * had, dim=1)
