"""A network that is normalised by batches while it learns, and has no such layers afterwards.

Source: Ioffe and Szegedy, "Batch Normalization", ICML 2015, algorithms 1 and 2: once statistics are fixed,
normalisation is a scale and a shift of each channel, which the convolution before it can do.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from facepipe.models.alexnet import AlexNet
from facepipe.models.tensors import part_of

LAYERS = (3, 6, 8, 10)  # convolutions of AlexNet that are normalised; the first one's inputs are so already


class Normalised(nn.Module):
    """AlexNet with each convolution's outputs normalised before they are rectified, but the first one's."""

    def __init__(self, network: AlexNet) -> None:
        """Wrap a network, which is not copied."""
        super().__init__()
        self.network = network
        channels = {str(layer): len(network.state_dict()[f"features.{layer}.bias"]) for layer in LAYERS}
        self.norms = nn.ModuleDict({layer: nn.BatchNorm2d(count) for layer, count in channels.items()})

    def forward(self, crops: Tensor) -> Tensor:
        """Return the logits (N,) of crops (N, 3, crop, crop)."""
        values = crops
        for index, layer in enumerate(self.network.features):
            values = layer(values)
            if index in LAYERS:
                values = self.norms[str(index)](values)
        logits: Tensor = self.network.classifier(values.flatten(1))
        return logits[:, 0]


def fold(state: Mapping[str, Tensor], epsilon: float = 1e-5) -> dict[str, Tensor]:
    """Return the state dict of the network itself that does what a `Normalised` one of this state does.

    Args:
        state: of a `Normalised` network, whose running statistics are taken.
        epsilon: added to the variances.
    """
    folded = part_of(state, "network.")
    for layer in LAYERS:
        scale, shift, mean, variance = (
            state[f"norms.{layer}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")
        )
        weight, bias = f"features.{layer}.weight", f"features.{layer}.bias"
        folded[weight], folded[bias] = fuse_conv_bn_weights(
            folded[weight], folded[bias], mean, variance, epsilon, scale, shift
        )
    return {name: values.detach() for name, values in folded.items()}
