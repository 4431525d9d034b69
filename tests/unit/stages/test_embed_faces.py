from pathlib import Path

import numpy as np
import pytest
import safetensors.torch

from facepipe.config import EmbedConfig
from facepipe.embedders.embedder import Embedder
from facepipe.models.importing import import_weights
from facepipe.models.mean import write_mean
from facepipe.models.vgg_network import VGG
from facepipe.stages.embed_faces import load_embedder, may_be_negative


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    return tmp_path


def import_vgg(folder: Path, name: str, projection: int = 0, *, with_mean: bool = False) -> None:
    file, mean = folder / f"{name}.safetensors", folder / f"{name}-mean.safetensors"
    network = VGG("A", 1 / 16, 32, projection=projection)
    safetensors.torch.save_file(network.state_dict(), file)
    write_mean(mean, np.full(network.dimension, 0.01, np.float32))
    import_weights(file, name, mean=mean if with_mean else None)


def test_it_is_known_beforehand_whose_numbers_may_be_negative(home: Path) -> None:
    import_vgg(home, "plain")
    import_vgg(home, "projected", 5)
    import_vgg(home, "centred", with_mean=True)
    assert may_be_negative(EmbedConfig())
    assert may_be_negative(EmbedConfig(centre=False))
    expected = {"plain": False, "projected": True, "centred": True}
    for model, negative in expected.items():
        settings = EmbedConfig(embedder="vggface", model=model)
        assert may_be_negative(settings) == negative
        embedder: Embedder = load_embedder(settings)
        crops = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
        assert (embedder.embed(crops).min() < 0) == negative
    assert not may_be_negative(EmbedConfig(embedder="vggface", model="centred", centre=False))
