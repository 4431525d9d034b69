"""Convolutions on a processor's matrix tiles (AMX), with weights more exact than the tiles' short numbers.

Tiles multiply bfloat16 numbers, which keep 8 significant bits, and add up in float32. A weight split into what bfloat16
keeps of it and what bfloat16 keeps of the rest has 16 bits. Two products then take the place of one, which is still
faster than one of float32. Activations are rounded between layers; those errors average out.
"""

from copy import deepcopy
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F


def has_tiles() -> bool:
    """Return whether this machine's processor multiplies bfloat16 matrices by hardware (AMX-BF16)."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16", False))


class SplitConvolution(nn.Module):
    """A convolution of the same weights and bias, as two of bfloat16.

    Args:
        convolution: 2D, of float32, with a bias and without groups, on the CPU, where it stays.
        relu: whether a ReLU follows.
    """

    def __init__(self, convolution: nn.Conv2d, *, relu: bool) -> None:
        super().__init__()
        self._convolve = partial(F.conv2d, stride=convolution.stride, padding=convolution.padding)
        self._relu = relu
        weight, bias = convolution.weight.detach(), convolution.get_parameter("bias").detach()
        self._upper, self._lower = _split(weight.contiguous(memory_format=torch.channels_last))  # (C_out, C_in, h, w)
        self._upper_bias, self._lower_bias = _split(bias)  # (C_out,)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return activations as bfloat16 for (B, C_in, H, W) of any floating-point type."""
        x = x.bfloat16()
        y = self._convolve(x, self._upper, self._upper_bias)
        y += self._convolve(x, self._lower, self._lower_bias)
        return F.relu_(y) if self._relu else y


def _split(numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return numbers (float32) as the sum of two of bfloat16, up to a 2^-16 of each."""
    upper = numbers.bfloat16()
    return upper, (numbers - upper.float()).bfloat16()


def split_convolutions(network: nn.Sequential, with_relu: type[nn.Conv2d]) -> nn.Sequential:
    """Return a copy of a network, for inference, with all its convolutions replaced.

    Args:
        network: stays as it is.
        with_relu: the kind of its convolutions that apply a ReLU themselves.
    """
    network = deepcopy(network)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv2d):
                setattr(parent, name, SplitConvolution(child, relu=isinstance(child, with_relu)))
    return network
