"""The three networks: fully convolutional P-Net equals P-Net window by window; R- and O-Net equal plain arithmetic."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facepipe.models.mtcnn_networks import ONet, PNet, RNet, max_pool


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(11)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(12, 12), (12, 31), (27, 20), (24, 13)])
def test_p_net_looks_at_every_second_window(size: tuple[int, int]) -> None:
    network, image = PNet().eval(), torch.rand(1, 3, *size)
    score, offsets = network(image)
    rows, columns = score.shape[1:]
    assert (rows, columns) == ((size[0] - 11) // 2 + 1, (size[1] - 11) // 2 + 1)
    assert offsets.shape == (1, 4, rows, columns)
    for row in range((size[0] - 12) // 2 + 1):
        for column in range((size[1] - 12) // 2 + 1):
            window = image[:, :, 2 * row : 2 * row + 12, 2 * column : 2 * column + 12]
            one_score, one_offsets = network(window)
            torch.testing.assert_close(one_score[0, 0, 0], score[0, row, column])
            torch.testing.assert_close(one_offsets[0, :, 0, 0], offsets[0, :, row, column])


def recorded(module: nn.Module, *, inputs: bool = False) -> list[Tensor]:
    """Return a list to which each pass of a layer appends its output, or its input."""
    seen: list[Tensor] = []

    def keep(_: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(given[0] if inputs else output)

    module.register_forward_hook(keep)
    return seen


@torch.inference_mode()
def test_the_probability_is_a_softmax() -> None:
    network, crops = RNet().eval(), torch.rand(2, 3, 24, 24)
    logits = recorded(network.dense5_1)
    score, _ = network(crops)
    torch.testing.assert_close(score, torch.softmax(logits[0], dim=1)[:, 1])


@torch.inference_mode()
@pytest.mark.parametrize(("network", "hooked", "dense"), [(RNet(), "prelu3", "dense4"), (ONet(), "prelu4", "dense5")])
def test_features_are_flattened_column_by_column(network: RNet | ONet, hooked: str, dense: str) -> None:
    maps = recorded(network.get_submodule(hooked))
    vectors = recorded(network.get_submodule(dense), inputs=True)
    network.eval()(torch.rand(1, 3, network.window, network.window))
    channels, height, width = maps[0].shape[1:]
    expected = [
        maps[0][0, channel, row, column]
        for column in range(width)
        for row in range(height)
        for channel in range(channels)
    ]
    torch.testing.assert_close(vectors[0][0], torch.stack(expected))


@torch.inference_mode()
def test_landmarks_come_as_five_x_then_five_y() -> None:
    network, crops = ONet().eval(), torch.rand(2, 3, 48, 48)
    raw = recorded(network.dense6_3)
    score, offsets, landmarks = network(crops)
    assert (score.shape, offsets.shape, landmarks.shape) == ((2,), (2, 4), (2, 5, 2))
    for point in range(5):
        torch.testing.assert_close(landmarks[:, point, 0], raw[0][:, point])
        torch.testing.assert_close(landmarks[:, point, 1], raw[0][:, 5 + point])


@torch.inference_mode()
@pytest.mark.parametrize("shape", [(2, 10, 7, 8), (1, 28, 22, 9), (3, 5, 10, 11), (1, 1, 3, 3)])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_pooling_equals_torch(shape: tuple[int, ...], size: int, memory_format: torch.memory_format) -> None:
    maps = torch.randn(shape).to(memory_format=memory_format)
    before = maps.clone()
    torch.testing.assert_close(max_pool(maps, size), F.max_pool2d(maps, size, 2, ceil_mode=True), rtol=0, atol=0)
    torch.testing.assert_close(maps, before, rtol=0, atol=0)


def test_pooling_passes_gradients_on() -> None:
    maps = torch.randn(1, 2, 5, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(max_pool(maps, 3).sum(), maps)
    assert gradient.sum() == 12  # one for each window of 2 channels, 2 rows and 3 columns
