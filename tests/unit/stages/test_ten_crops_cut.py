from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from PIL import Image

from facepipe.alignment.box_crop import FACENET_GROW, crop_faces
from facepipe.config import EmbedConfig
from facepipe.models.importing import import_weights
from facepipe.models.vgg_network import VGG
from facepipe.stages.align_faces import Crops, crops_for


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network that takes 224 pixels."""
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    safetensors.torch.save_file(VGG("A", 1 / 64, 224).state_dict(), tmp_path / "narrow.safetensors")
    import_weights(tmp_path / "narrow.safetensors", "narrow")
    return "narrow"


def test_ten_crops_are_taken_from_larger_and_wider_ones(model: str) -> None:
    assert crops_for(EmbedConfig()) == Crops(160, FACENET_GROW)
    assert crops_for(EmbedConfig(ten_crops=True)).size == 366
    settings = EmbedConfig(embedder="vggface", model=model)
    once, ten = crops_for(settings), crops_for(settings.model_copy(update={"ten_crops": True}))
    assert once == Crops(224, FACENET_GROW)
    assert ten.size == 512
    assert [(1 + 2 * wide) / (1 + 2 * usual) for wide, usual in zip(ten.grow, once.grow, strict=True)] == pytest.approx(
        [256 / 224] * 2
    )


def test_the_centre_of_the_smallest_scale_is_what_the_network_is_used_to(model: str) -> None:
    rng = np.random.default_rng(2)
    blobs = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    photo = np.asarray(blobs.resize((500, 500), Image.Resampling.BICUBIC))
    box = np.array([[120.5, 90.0, 330.0, 371.25]])
    settings = EmbedConfig(embedder="vggface", model=model)
    once, ten = crops_for(settings), crops_for(settings.model_copy(update={"ten_crops": True}))
    usual = crop_faces(photo, box, once.size, once.grow)[0]
    large = Image.fromarray(crop_faces(photo, box, ten.size, ten.grow)[0])
    centre = np.asarray(large.resize((256, 256), Image.Resampling.BILINEAR))[16:-16, 16:-16]
    assert np.abs(usual.astype(int) - centre).max() <= 8
    assert np.abs(usual.astype(int) - centre).mean() <= 1
