"""VGG as a classifier of people, and as descriptors of faces.

Source: Parkhi, Vedaldi and Zisserman, "Deep Face Recognition" (BMVC 2015), section 4 and table 3 (configuration D; A
and B are those of Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR
2015, table 1). Layers bear the published names, `conv1_1` to `fc8`.

Departs from the paper: width and input size can be chosen; weights start as He et al. (2015) have it, where the paper's
are drawn with a standard deviation of 0.01 and deeper configurations start from A's.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facepipe.errors import WeightsError, WrongUsageError

ARCHITECTURE = "vgg"
CHANNELS = (64, 128, 256, 512, 512)  # of the five blocks, at width 1
HIDDEN = 4096  # of fc6 and fc7, at width 1
LAYERS = {"A": (1, 1, 2, 2, 2), "B": (2, 2, 2, 2, 2), "D": (2, 2, 3, 3, 3)}  # convolutions a block
STRIDE = 32  # of the five poolings together
# Mean of the training faces, RGB, 0 to 255, as published beside the weights.
MEAN_COLOUR = (129.1863, 104.7624, 93.5940)
DROPOUT = 0.5  # after fc6 and fc7 (section 4.4)


def input_size_of(shapes: Mapping[str, Sequence[int]]) -> int:
    """Return the side of the images that a network of such tensors takes, in pixels.

    Raises:
        WeightsError: no VGG has such tensors.
    """
    try:
        cells: float = shapes["fc6.weight"][1] / max(
            shape[0] for name, shape in shapes.items() if name.startswith("conv5_")
        )
        return round(STRIDE * math.sqrt(cells))
    except (KeyError, IndexError, ValueError) as error:
        raise WeightsError("these are no weights of VGG: its layers are conv1_1 to conv5_3, fc6, fc7") from error


def sizes_of(width: float, input_size: int) -> tuple[list[int], int]:
    """Return the channels of the five blocks, and how many numbers fc6 and fc7 have, which tells the former, too.

    Args:
        width: factor on all of them.
        input_size: of the images, in pixels.

    Raises:
        WrongUsageError: the input size is no multiple of 32, or the width leaves a layer empty.
    """
    if input_size < STRIDE or input_size % STRIDE:
        raise WrongUsageError(f"VGG takes images of a multiple of {STRIDE} pixels, not of {input_size}")
    hidden = round(HIDDEN * width)
    channels = [round(count * hidden / HIDDEN) for count in CHANNELS]
    if min(*channels, hidden) < 1:
        raise WrongUsageError(f"a width of {width} leaves a layer of VGG without channels")
    return channels, hidden


class VGG(nn.Module):
    """A softmax classifier's scores, or what lies before them.

    Attributes:
        input_size: side of the images it takes, in pixels.
        dimension: of its embeddings: the projection's, or fc7's where there is none.
    """

    def __init__(
        self,
        configuration: str = "D",
        width: float = 1.0,
        input_size: int = 224,
        people: int = 0,
        projection: int = 0,
    ) -> None:
        """Build the network.

        Args:
            configuration: A, B or D: 11, 13 or 16 layers.
            width: factor on all channels.
            input_size: a multiple of 32.
            people: that fc8 tells apart; 0: there is no fc8.
            projection: numbers that fc7's are projected to; 0: there is no projection.

        Raises:
            WrongUsageError: see `sizes_of`.
        """
        super().__init__()
        channels, hidden = sizes_of(width, input_size)
        self.blocks = tuple(
            tuple(f"conv{block}_{layer}" for layer in range(1, count + 1))
            for block, count in enumerate(LAYERS[configuration], start=1)
        )
        before = 3
        for names, after in zip(self.blocks, channels, strict=True):
            for name in names:
                self.add_module(name, nn.Conv2d(before, after, 3, padding=1))
                before = after
        self.fc6 = nn.Linear(before * (input_size // STRIDE) ** 2, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8 = nn.Linear(hidden, people) if people else None
        self.projection = nn.Linear(hidden, projection, bias=False) if projection else None
        self.input_size = input_size
        self.dimension = projection or hidden
        self._initialise()

    @classmethod
    def shaped_like(cls, state: Mapping[str, Tensor]) -> "VGG":
        """Return a network of the sizes that a state dict tells, its weights not loaded.

        Raises:
            WeightsError: no such network has a tensor of such a shape.
        """
        try:
            counts = tuple(
                sum(f"conv{block}_{layer}.weight" in state for layer in range(1, 4)) for block in range(1, 6)
            )
            configuration = next(name for name, layers in LAYERS.items() if layers == counts)
            width = len(state["fc7.weight"]) / HIDDEN
            input_size = input_size_of({name: tuple(tensor.shape) for name, tensor in state.items()})
            people = len(state["fc8.weight"]) if "fc8.weight" in state else 0
            projection = len(state["projection.weight"]) if "projection.weight" in state else 0
            return cls(configuration, width, input_size, people, projection)
        except (StopIteration, KeyError, IndexError, WrongUsageError) as error:
            raise WeightsError("these are no weights of VGG: its layers are conv1_1 to conv5_3, fc6, fc7") from error

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():  # it takes numbers of 0 to 255, whose spread is about 64
            self.get_parameter("conv1_1.weight").div_(64)
            if self.fc8 is not None:
                self.fc8.weight.mul_(0.1)

    def describe(self, images: Tensor) -> Tensor:
        """Return what lies before the classifier, (B, HIDDEN x width), never negative: fc7 after its ReLU.

        Args:
            images: (B, 3, S, S) float, RGB, 0 to 255.
        """
        x = images - images.new_tensor(MEAN_COLOUR)[:, None, None]
        for names in self.blocks:
            for name in names:
                x = F.relu(self.get_submodule(name)(x), inplace=True)
            x = F.max_pool2d(x, 2)
        x = F.dropout(F.relu(self.fc6(x.flatten(1))), DROPOUT, self.training)
        return F.dropout(F.relu(self.fc7(x)), DROPOUT, self.training)

    def classify(self, images: Tensor) -> Tensor:
        """Return the scores of people (B, P) before the softmax (section 4.1)."""
        if self.fc8 is None:
            raise ValueError("this network has no classifier")
        scores: Tensor = self.fc8(self.describe(images))
        return scores

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings of unit length: fc7, projected where there is a projection (section 4.2)."""
        described = F.normalize(self.describe(images), dim=1)
        return described if self.projection is None else F.normalize(self.projection(described), dim=1)
