from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from facepipe.errors import WeightsError, WrongUsageError
from facepipe.models.alexnet import CHANNELS, AlexNet, load_imagenet
from facepipe.models.architectures import check_shapes, expected_shapes
from facepipe.models.ddfd_network import DDFDNetwork
from facepipe.models.imagenet import read_imagenet


def network(width: float, crop: int) -> AlexNet:
    torch.manual_seed(1)
    made = AlexNet(width, crop).eval()
    torch.nn.init.normal_(made.get_parameter("classifier.6.weight"))  # logits that differ
    return made


@pytest.mark.parametrize(("width", "crop", "stride"), [(0.1, 97, 8), (0.1, 113, 8), (0.05, 195, 16), (0.05, 227, 16)])
@torch.inference_mode()
def test_heat_maps_say_what_the_crop_network_says_of_each_window(width: float, crop: int, stride: int) -> None:
    made = network(width, crop)
    images = torch.randn(2, 3, crop + 2 * stride + 5, crop + 3 * stride)
    heat = made.heat_map(images)
    assert made.stride == stride
    assert heat.shape == (2, 3, 4)
    for row in range(3):
        for column in range(4):
            top, left = row * stride, column * stride
            logits = made(images[:, :, top : top + crop, left : left + crop])
            torch.testing.assert_close(heat[:, row, column], logits, atol=1e-4, rtol=0)
    assert heat.std() > 0.01


@pytest.mark.parametrize("crop", [0, 67, 96, 98, 194, 211, 228])
def test_crops_that_leave_a_rest_are_refused(crop: int) -> None:
    with pytest.raises(WrongUsageError, match="97, 113, 129"):
        AlexNet(0.1, crop)


def test_a_width_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(WrongUsageError, match="no channels"):
        AlexNet(0.001)


def test_width_one_has_torchvisions_sizes() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(values.shape) for name, values in AlexNet(1.0, 355).state_dict().items()}
    assert shapes["features.0.weight"] == (64, 3, 11, 11)
    assert shapes["features.3.weight"] == (192, 64, 5, 5)
    assert shapes["features.10.weight"] == (256, 256, 3, 3)
    assert shapes["classifier.1.weight"] == (4096, 9216)
    assert shapes["classifier.4.weight"] == (4096, 4096)


def torchvision_state() -> dict[str, torch.Tensor]:
    """A state dict of torchvision's shapes; its large matrices share one value and take no memory."""
    torch.manual_seed(2)
    inputs = (3, *CHANNELS[:4])
    state = {}
    for layer, count, before, kernel in zip((0, 3, 6, 8, 10), CHANNELS, inputs, (11, 5, 3, 3, 3), strict=True):
        state[f"features.{layer}.weight"] = torch.randn(count, before, kernel, kernel)
        state[f"features.{layer}.bias"] = torch.randn(count)
    for layer, outputs, size in ((1, 4096, 9216), (4, 4096, 4096), (6, 1000, 4096)):
        state[f"classifier.{layer}.weight"] = torch.full((1, 1), 0.1).expand(outputs, size)
        state[f"classifier.{layer}.bias"] = torch.zeros(outputs)
    return state


@torch.inference_mode()
def test_imagenets_weights_load_where_they_fit_and_expect_the_projects_values() -> None:
    state = torchvision_state()
    made = AlexNet(1.0, 195)
    last = made.get_parameter("classifier.6.weight").clone()
    loaded = load_imagenet(made, state)
    assert {"features.0.weight", "features.10.bias", "classifier.4.weight"} <= set(loaded)
    assert "classifier.1.weight" not in loaded
    assert "classifier.6.weight" not in loaded
    assert torch.equal(made.get_parameter("classifier.6.weight"), last)
    assert torch.equal(made.get_parameter("features.3.weight"), state["features.3.weight"])
    pixels = torch.randint(0, 256, (1, 3, 40, 40)).float()
    mean, spread = (torch.tensor(three).view(1, 3, 1, 1) for three in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    theirs = F.conv2d((pixels / 255 - mean) / spread, state["features.0.weight"], state["features.0.bias"], 4)
    torch.testing.assert_close(made.features[0]((pixels - 127.5) / 128), theirs, atol=1e-3, rtol=1e-4)


def test_imagenets_weights_need_width_one() -> None:
    with pytest.raises(WeightsError, match="--width 1"):
        load_imagenet(AlexNet(0.1), torchvision_state())


def test_imagenets_file_is_asked_for_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=r"alexnet-owt-.*\.pth"):
        read_imagenet()
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights" / "alexnet-owt-12345678.pth"
    torch.save({"features.0.bias": torch.ones(3)}, file)
    assert read_imagenet()["features.0.bias"].tolist() == [1, 1, 1]
    assert read_imagenet(file).keys() == {"features.0.bias"}
    file.write_bytes(b"none")
    with pytest.raises(WeightsError, match="no plain state dict"):
        read_imagenet()
    with pytest.raises(WeightsError, match="cannot read"):
        read_imagenet(tmp_path / "absent.pth")


@pytest.mark.parametrize(("width", "crop"), [(0.25, 97), (0.1, 129), (0.05, 227)])
def test_sizes_are_told_by_the_tensors(width: float, crop: int) -> None:
    made = DDFDNetwork(width, crop)
    state = made.state_dict()
    again = DDFDNetwork.shaped_like(state)
    again.load_state_dict(state)
    assert (again.crop, again.stride) == (made.crop, made.stride)
    check_shapes(state, "ddfd", "a file")
    with pytest.raises(WeightsError, match="shape"):
        check_shapes({**state, "features.3.weight": state["features.3.weight"][:, 1:]}, "ddfd", "a file")
    with pytest.raises(WeightsError, match="missing"):
        check_shapes({name: values for name, values in state.items() if name != "face_box"}, "ddfd", "a file")


@pytest.mark.parametrize("state", [{}, {"features.0.weight": torch.zeros(3)}])
def test_what_is_no_alexnet_has_the_usual_sizes_and_builds_none(state: dict[str, torch.Tensor]) -> None:
    assert expected_shapes("ddfd", state)["features.0.weight"] == (16, 3, 5, 5)
    with pytest.raises(WeightsError, match="no AlexNet's"):
        DDFDNetwork.shaped_like(state)
