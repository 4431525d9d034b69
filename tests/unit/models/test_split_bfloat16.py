import pytest
import torch
from torch import nn

from facepipe.models.inception_resnet_v1 import ConvReLU
from facepipe.models.split_bfloat16 import SplitConvolution, split_convolutions


def twin(convolution: nn.Conv2d, x: torch.Tensor, *, relu: bool) -> torch.Tensor:
    """The same in float64, all numbers as they are."""
    y = nn.functional.conv2d(
        x.double(),
        convolution.weight.double(),
        convolution.get_parameter("bias").double(),
        convolution.stride,
        convolution.padding,
    )
    return y.relu() if relu else y


@pytest.mark.parametrize(("stride", "padding", "relu"), [(1, 0, True), (2, 1, False), (1, (0, 3), True)])
def test_errors_are_those_of_the_activations_rounding_alone(
    stride: int, padding: int | tuple[int, int], relu: bool
) -> None:
    torch.manual_seed(5)
    kernel = (1, 7) if isinstance(padding, tuple) else 3
    convolution = nn.Conv2d(24, 40, kernel, stride=stride, padding=padding)
    x = torch.randn(2, 24, 11, 13).bfloat16().float()  # exact in bfloat16, so that the weights' errors show
    with torch.inference_mode():
        wanted = twin(convolution, x, relu=relu)
        split = SplitConvolution(convolution, relu=relu)(x).double()
        rounded = nn.Conv2d(24, 40, kernel, stride=stride, padding=padding)
        rounded.weight.data = convolution.weight.data.bfloat16().float()
        rounded.get_parameter("bias").data = convolution.get_parameter("bias").data
        one_product = twin(rounded, x, relu=relu)
    # y = upper + lower, each rounded to bfloat16: two halves of a unit in the 8th bit of the largest output.
    assert (split - wanted).abs().max() <= 2 * wanted.abs().max() * 2**-9
    assert (split - wanted).mean().abs() < (one_product - wanted).abs().mean()


def test_every_convolution_of_a_network_is_replaced() -> None:
    network = nn.Sequential(ConvReLU(3, 4, 3), nn.Sequential(nn.Conv2d(4, 5, 1)), nn.Flatten(), nn.Linear(5, 2))
    with torch.inference_mode():
        x = torch.randn(1, 3, 3, 3)
        before = network(x)
        split = split_convolutions(network, ConvReLU)
        after = split[:3](x)
        torch.testing.assert_close(network(x), before)  # the network itself stays as it is
        torch.testing.assert_close(network[3](after.float()), before, rtol=0.03, atol=0.03)
    assert after.dtype == torch.bfloat16
    assert not [module for module in split.modules() if isinstance(module, nn.Conv2d)]
