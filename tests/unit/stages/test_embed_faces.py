from pathlib import Path

import numpy as np
import pytest
import safetensors.torch

from facepipe.config import EmbedConfig, load_config
from facepipe.embedders.embedder import Embedder
from facepipe.models.importing import import_weights
from facepipe.models.mean import write_mean
from facepipe.models.vgg_network import VGG
from facepipe.stages.embed_faces import (
    embedder_name,
    load_cohort,
    load_embedder,
    may_be_negative,
    settings_of_embedder,
)


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


@pytest.mark.parametrize("centre", ["true", "false"])
@pytest.mark.parametrize("ten_crops", ["true", "false"])
def test_a_name_tells_the_settings(home: Path, centre: str, ten_crops: str) -> None:
    import_vgg(home, "mine")
    overrides = ["embed.embedder=vggface", "embed.model=mine", f"embed.centre={centre}", f"embed.ten_crops={ten_crops}"]
    settings = load_config(None, overrides).embed
    embedder, name, *sets = settings_of_embedder(embedder_name(settings)).replace("--set ", "").split()
    assert (embedder, name) == ("--embedder", "vggface")
    assert load_config(None, ["embed.embedder=vggface", *sets]).embed == settings


def test_vectors_of_another_kind_have_another_name_and_no_cohort() -> None:
    kinds = [EmbedConfig(centre=centre, ten_crops=ten_crops) for centre in (True, False) for ten_crops in (True, False)]
    assert len({embedder_name(kind) for kind in kinds}) == 4
    assert [kind for kind in kinds if load_cohort(kind) is not None] == [EmbedConfig()]
    assert embedder_name(EmbedConfig(mirror=True)) == embedder_name(EmbedConfig())


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


def test_ten_crops_are_loaded_by_the_settings(home: Path) -> None:
    import_vgg(home, "mine", 5)
    settings = EmbedConfig(embedder="vggface", model="mine", ten_crops=True)
    embedder: Embedder = load_embedder(settings)
    assert (embedder.input_size, embedder.dimension) == (73, 5)
