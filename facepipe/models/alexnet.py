"""AlexNet as one logit a crop, and as the heat map of all crops of a larger image.

Source: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012,
section 3.5, in the sizes and with the names of torchvision's module (`features.N`, `classifier.N`), so without local
response normalisation. That fully connected layers are convolutions whose kernels cover their whole input, and how a
detector follows: Farfade, Saberian and Li 2015 ("Multi-view Face Detection Using Deep Convolutional Neural Networks"),
section 3.

Departs from the papers: no layer is padded, so that a window's logit depends on the window's pixels alone, wherever it
lies in a larger image. Crops of fewer than 195 px, which the first layer would use up, are looked at by one of half its
reach and stride (kernel 5, stride 2 instead of 11 and 4): it sees of a face of 50 px what AlexNet's sees of one of
100 px. One logit, a face or not, instead of a softmax over classes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facepipe.errors import WeightsError, WrongUsageError

CHANNELS = (64, 192, 384, 256, 256)  # of the convolutions, at width 1
HIDDEN = 4096  # of the fully connected layers, at width 1
DROPOUT = 0.2  # of the fully connected layers' inputs; 0.5 in the paper, whose layers are sixteen times as wide
STEMS = {11: 4, 5: 2}  # stride by the first layer's kernel
LEAST_CROPS = {11: 195, 5: 97}  # the crop of which one value a channel is left after the last pooling
_CONVOLUTIONS = ("features.0", "features.3", "features.6", "features.8", "features.10")
_IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of what torchvision's weights expect, RGB, 0 to 1
_IMAGENET_SPREAD = (0.229, 0.224, 0.225)


class AlexNet(nn.Module):
    """One logit of a face for each window.

    Attributes:
        crop: side of the window, in pixels.
        stride: of neighbouring windows in a heat map, in pixels: half of what the layers' strides multiply to, since
            the last pooling leaves no window out there.
    """

    def __init__(self, width: float = 0.25, crop: int = 97) -> None:
        """Build the network, with He et al.'s initialisation.

        Args:
            width: factor on the channels of the convolutions; the fully connected layers, whose cost grows with the
                square of their size, go by its square.
            crop: 97, 113, 129 … below 195; 195, 227, 259 … from there on.

        Raises:
            WrongUsageError: the crop has another size, or the width leaves a layer empty.
        """
        super().__init__()
        kernel = 11 if crop >= LEAST_CROPS[11] else 5
        step = STEMS[kernel] * 8
        if crop < LEAST_CROPS[kernel] or (crop - LEAST_CROPS[kernel]) % step:
            raise WrongUsageError(f"AlexNet takes crops of 97, 113, 129 … or 195, 227, 259 … pixels, not {crop}")
        channels = [round(count * width) for count in CHANNELS]
        hidden = round(HIDDEN * width**2)
        if min(*channels, hidden) < 1:
            raise WrongUsageError(f"a width of {width} leaves AlexNet no channels")
        self._build(kernel, channels, hidden, 1 + (crop - LEAST_CROPS[kernel]) // step)
        self.crop = crop

    def _build(self, kernel: int, channels: list[int], hidden: int, reach: int) -> None:
        """Make the layers; `reach` is the side of what the last pooling leaves of a crop."""
        self.stride = STEMS[kernel] * 4
        first, second, third, fourth, fifth = channels
        self.features = nn.Sequential(
            nn.Conv2d(3, first, kernel, STEMS[kernel]), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(first, second, 5), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(second, third, 3), nn.ReLU(inplace=True),
            nn.Conv2d(third, fourth, 3), nn.ReLU(inplace=True),
            nn.Conv2d(fourth, fifth, 3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        last = nn.Linear(hidden, 1)
        self.classifier = nn.Sequential(
            nn.Dropout(DROPOUT), nn.Linear(fifth * reach**2, hidden), nn.ReLU(inplace=True),
            nn.Dropout(DROPOUT), nn.Linear(hidden, hidden), nn.ReLU(inplace=True),
            last,
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(last.weight, std=0.01)

    @classmethod
    def shaped_like(cls, state: Mapping[str, Tensor]) -> "AlexNet":
        """Return a network, not initialised to any purpose, of the sizes that a state dict's tensors have.

        Raises:
            WeightsError: they are no AlexNet's.
        """
        try:
            shapes = [tuple(state[f"{name}.weight"].shape) for name in _CONVOLUTIONS]
            hidden, inputs = state["classifier.1.weight"].shape
            kernel, channels = shapes[0][2], [shape[0] for shape in shapes]
            reach = round((inputs / channels[4]) ** 0.5)
            crop = LEAST_CROPS[kernel] + (reach - 1) * STEMS[kernel] * 8
        except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
            raise WeightsError("the weights are no AlexNet's: a tensor is missing or of another shape") from error
        network = cls.__new__(cls)
        nn.Module.__init__(network)
        network._build(kernel, channels, hidden, reach)
        network.crop = crop
        return network

    def forward(self, crops: Tensor) -> Tensor:
        """Return the logits (N,) of crops (N, 3, crop, crop): RGB, (value - 127.5) / 128."""
        values = self.features(crops)  # (N, C, reach, reach)
        logits: Tensor = self.classifier(values.flatten(1))
        return logits[:, 0]

    def heat_map(self, images: Tensor) -> Tensor:
        """Return the logits (N, h, w) of all windows of images (N, 3, H, W), H and W at least `crop`.

        The window of row r and column c begins `stride` * r rows and `stride` * c columns from the upper left corner:
        h is (H - crop) // stride + 1. The last pooling takes no second step; what it steps over in a crop, the first
        fully connected layer's kernel steps over instead. No dropout.
        """
        values = F.max_pool2d(self.features[:12](images), 3, 1)
        first, second, last = (layer for layer in self.classifier if isinstance(layer, nn.Linear))
        values = F.relu_(_convolve(values, first, dilation=2))
        values = F.relu_(_convolve(values, second))
        return _convolve(values, last)[:, 0]


def _convolve(values: Tensor, linear: nn.Linear, dilation: int = 1) -> Tensor:
    """Return what a fully connected layer says of each part of `values` (N, C, H, W) that is as large as its input."""
    reach = round((linear.in_features / values.shape[1]) ** 0.5)
    kernel = linear.weight.view(linear.out_features, values.shape[1], reach, reach)
    return F.conv2d(values, kernel, linear.bias, dilation=dilation)


def load_imagenet(network: AlexNet, state: Mapping[str, Tensor]) -> list[str]:
    """Give a network those of torchvision's weights that have its shapes, and return their names.

    The rest stays as it was: always the last layer; the first fully connected layer, too, unless the crop is of 355 px,
    where what the convolutions leave is as large as torchvision's. How torchvision normalises images becomes part of
    the first layer.

    Args:
        network: of width 1.
        state: of torchvision's AlexNet.

    Raises:
        WeightsError: not even the convolutions fit.
    """
    own = network.state_dict()
    fitting = {
        name: tensor.float() for name, tensor in state.items() if name in own and own[name].shape == tensor.shape
    }
    if missing := [name for name in _CONVOLUTIONS if f"{name}.weight" not in fitting or f"{name}.bias" not in fitting]:
        raise WeightsError(
            f"ImageNet's AlexNet has no {missing[0]!r} of this size: start from it with --width 1 and --crop 227"
        )
    spread = torch.tensor(_IMAGENET_SPREAD).view(1, 3, 1, 1)
    mean = torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1)
    kernel = fitting["features.0.weight"]
    # (value / 255 - mean) / spread, in terms of (value - 127.5) / 128
    fitting["features.0.weight"] = kernel * 128 / 255 / spread
    fitting["features.0.bias"] = fitting["features.0.bias"] + (kernel * (0.5 - mean) / spread).sum(dim=(1, 2, 3))
    network.load_state_dict({**own, **fitting})
    return sorted(fitting)
