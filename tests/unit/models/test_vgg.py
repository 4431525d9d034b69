"""VGG in its sizes, its embedder, and the published layouts on import."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from facepipe.config import EmbedConfig
from facepipe.embedders.embedder import Embedder
from facepipe.embedders.vggface import VGGFace
from facepipe.errors import WeightsError, WrongUsageError
from facepipe.models import load_weights
from facepipe.models.importing import import_weights
from facepipe.models.mean import write_mean
from facepipe.models.vgg_network import LAYERS, MEAN_COLOUR, VGG
from facepipe.stages.align_faces import crops_for
from facepipe.stages.embed_faces import load_embedder

SMALL: dict[str, Any] = {"width": 1 / 16, "input_size": 64}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write_matconvnet(path: Path, network: VGG, *, old: bool) -> None:
    """As `vgg_face.mat` is laid out: a row of layers, kernels (H, W, in, out), fully connected ones too."""
    layers = []
    for name, module in network.named_children():
        weight = module.get_parameter("weight").detach()
        if name == "fc6":
            weight = weight.reshape(len(weight), -1, 2, 2)
        elif name.startswith("fc"):
            weight = weight[:, :, None, None]
        kernel, bias = weight.permute(2, 3, 1, 0).numpy(), module.get_parameter("bias").detach().numpy()
        layers += [
            {
                "name": name,
                "type": "conv",
                **({"filters": kernel, "biases": bias} if old else {"weights": [kernel, bias]}),
            },
            {"name": f"relu{name}", "type": "relu"},
        ]
    row = np.empty(len(layers), object)
    row[:] = layers
    savemat(path, {"layers": row})


@pytest.mark.parametrize("configuration", LAYERS)
def test_a_network_is_known_by_its_tensors(configuration: str) -> None:
    network = VGG(configuration, 1 / 8, 96, people=7, projection=5)
    again = VGG.shaped_like(network.state_dict())
    again.load_state_dict(network.state_dict())
    assert (again.input_size, again.dimension) == (96, 5)
    convolutions = sum(name.startswith("conv") for name, _ in network.named_children())
    assert convolutions + 3 == {"A": 11, "B": 13, "D": 16}[configuration]


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 1))
def test_every_width_is_known_by_its_tensors(width: float) -> None:
    with torch.device("meta"):
        state = VGG("A", width, 32).state_dict()
        again = VGG.shaped_like(state).state_dict()
    assert {name: values.shape for name, values in again.items()} == {
        name: values.shape for name, values in state.items()
    }


def test_the_published_size() -> None:
    with torch.device("meta"):
        network = VGG(people=2622)
    assert network.fc6.weight.shape == (4096, 25088)
    assert sum(values.numel() for values in network.parameters()) == 145_002_878


def test_the_mean_colour_is_black_to_it_and_descriptors_are_never_negative() -> None:
    network = VGG("A", **SMALL).eval()
    grey = torch.tensor(MEAN_COLOUR)[None, :, None, None].expand(1, 3, 64, 64)
    assert float(network.describe(grey).detach().abs().max()) == 0  # biases start at 0
    described = network.describe(torch.rand(2, 3, 64, 64) * 255)
    assert float(described.detach().min()) == 0 < float(described.detach().max())
    with pytest.raises(ValueError, match="no classifier"):
        network.classify(grey)


@pytest.mark.parametrize("old", [False, True], ids=["weights", "filters"])
def test_matconvnets_file_is_imported(home: Path, tmp_path: Path, old: bool) -> None:
    network = VGG("D", **SMALL, people=5)
    write_matconvnet(tmp_path / "vgg_face.mat", network, old=old)
    imported = import_weights(tmp_path / "vgg_face.mat", "published", licence="mine")
    assert imported.record.architecture == "vgg"
    stored = load_weights("published")
    assert stored.keys() == network.state_dict().keys()
    assert all(torch.equal(stored[name], value) for name, value in network.state_dict().items())


def test_its_tensors_as_safetensors_are_imported_and_embed(home: Path, tmp_path: Path) -> None:
    network = VGG("B", **SMALL, people=5).eval()
    state = network.state_dict()
    state["fc6.weight"] = state["fc6.weight"].reshape(256, -1, 2, 2)
    state["fc7.weight"] = state["fc7.weight"][:, :, None, None]
    safetensors.torch.save_file(
        {name: value.contiguous() for name, value in state.items()}, tmp_path / "vgg.safetensors"
    )
    write_mean(tmp_path / "mean.safetensors", np.full(256, 0.01, np.float32))
    import_weights(tmp_path / "vgg.safetensors", "mine", mean=tmp_path / "mean.safetensors")
    settings = EmbedConfig(embedder="vggface", model="mine")
    assert crops_for(settings).size == 64
    embedder: Embedder = load_embedder(settings)
    assert (embedder.input_size, embedder.dimension) == (64, 256)
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    with torch.no_grad():
        raw = network(torch.from_numpy(crops).permute(0, 3, 1, 2).float()).numpy()
    expected = raw - 0.01
    np.testing.assert_allclose(
        embedder.embed(crops), expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5
    )
    assert VGGFace(network, mirror=True).embed(crops[:0]).shape == (0, 256)
    with pytest.raises(WrongUsageError, match="'mine' is of the architecture vgg, not inception_resnet_v1"):
        load_embedder(EmbedConfig(model="mine"))
    write_mean(tmp_path / "short.safetensors", np.full(7, 0.01, np.float32))
    with pytest.raises(WrongUsageError, match="that takes 256 numbers"):
        import_weights(tmp_path / "vgg.safetensors", "mine", mean=tmp_path / "short.safetensors")


def test_other_files_are_refused_by_what_is_wrong_with_them(home: Path, tmp_path: Path) -> None:
    network = VGG("D", **SMALL, people=5)
    write_matconvnet(tmp_path / "whole.mat", network, old=False)
    data = (tmp_path / "whole.mat").read_bytes()
    (tmp_path / "damaged.mat").write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match=r"damaged\.mat is no readable MatConvNet file"):
        import_weights(tmp_path / "damaged.mat", "published")
    savemat(tmp_path / "other.mat", {"layers": np.array([{"name": "relu", "type": "relu"}], object)})
    with pytest.raises(WeightsError, match="holds no layers with weights"):
        import_weights(tmp_path / "other.mat", "published")
    state = network.state_dict()
    del state["conv3_2.bias"]
    safetensors.torch.save_file(state, tmp_path / "lacking.safetensors")
    with pytest.raises(WeightsError, match=r"is no vgg: the tensor 'conv3_2\.bias' is missing"):
        import_weights(tmp_path / "lacking.safetensors", "published")


@pytest.mark.parametrize(("size", "width", "says"), [(100, 1.0, "a multiple of 32"), (64, 1e-4, "without channels")])
def test_sizes_that_cannot_be(size: int, width: float, says: str) -> None:
    with pytest.raises(WrongUsageError, match=says):
        VGG("D", width, size)
