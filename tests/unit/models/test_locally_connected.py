"""Locally connected layers against a loop over places, their gradient against differences, and their speed."""

import time

import pytest
import torch
from torch import Tensor

from facepipe.models.locally_connected import LocallyConnected2d


def loop(layer: LocallyConnected2d, x: Tensor) -> Tensor:
    """The layer as its definition reads: each place's own kernels on the patch that lies there."""
    faces, outputs = len(x), layer.weight.shape[2]
    result = x.new_zeros(faces, outputs, layer.side, layer.side)
    for face in range(faces):
        for row in range(layer.side):
            for column in range(layer.side):
                top, left = row * layer.stride, column * layer.stride
                patch = x[face, :, top : top + layer.kernel, left : left + layer.kernel].reshape(-1)
                place = row * layer.side + column
                for channel in range(outputs):
                    value = (patch * layer.weight[place, :, channel]).sum() + layer.bias[place, channel]
                    result[face, channel, row, column] = value
    return result


@pytest.mark.parametrize(("side", "kernel", "stride"), [(7, 3, 1), (9, 3, 2), (5, 5, 1), (8, 3, 2)])
def test_it_is_what_the_loop_computes(side: int, kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    layer = LocallyConnected2d(2, 3, side, kernel, stride)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 2, side, side)
    torch.testing.assert_close(layer(x), loop(layer, x), atol=1e-5, rtol=1e-5)


def test_its_gradient() -> None:
    torch.manual_seed(0)
    layer = LocallyConnected2d(2, 2, 5, 3, 2).double()
    x = torch.randn(2, 2, 5, 5, dtype=torch.double, requires_grad=True)

    def outputs(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        parameters = {"weight": weight, "bias": bias}
        result: Tensor = torch.func.functional_call(layer, parameters, (x,))
        return result

    assert torch.autograd.gradcheck(outputs, (x, layer.weight, layer.bias))


def test_it_is_a_convolution_where_all_kernels_are_the_same() -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 4, 3, stride=2)
    layer = LocallyConnected2d(3, 4, 11, 3, 2)
    with torch.no_grad():
        layer.weight.copy_(convolution.weight.reshape(4, -1).T.expand_as(layer.weight))
        layer.bias.copy_(convolution.bias.expand_as(layer.bias))  # type: ignore[union-attr]
    x = torch.randn(2, 3, 11, 11)
    torch.testing.assert_close(layer(x), convolution(x), atol=1e-5, rtol=1e-5)


def test_it_is_many_times_faster_than_the_loop() -> None:
    layer, x = LocallyConnected2d(4, 4, 20, 5), torch.randn(8, 4, 20, 20)
    seconds = {}
    with torch.no_grad():
        for name, compute in (("layer", layer), ("loop", lambda x: loop(layer, x))):
            compute(x[:1])
            started = time.perf_counter()
            compute(x)
            seconds[name] = time.perf_counter() - started
    assert seconds["loop"] > 20 * seconds["layer"]


def test_an_input_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="5 pixels don't fit into an input of 4"):
        LocallyConnected2d(1, 1, 4, 5)
