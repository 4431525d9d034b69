"""A model's own distances serve for grouping wherever settings don't say others."""

from pathlib import Path

import pytest
import safetensors.torch

from facepipe.config import GroupConfig, load_config
from facepipe.errors import WeightsError
from facepipe.models.deepface_network import DeepFaceNetwork
from facepipe.models.importing import import_weights
from facepipe.stages.group_people import for_model


@pytest.fixture
def weights_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    return tmp_path / "mine.safetensors"


def save(file: Path, **metadata: str) -> None:
    safetensors.torch.save_file(DeepFaceNetwork(0.0625, 72).state_dict(), file, metadata)


def test_they_travel_in_the_files_metadata(weights_file: Path) -> None:
    save(weights_file, link_distance="0.5", average_distance="0.625")
    assert import_weights(weights_file).record.distances == (0.5, 0.625)
    plain = GroupConfig()
    own = for_model(plain, "mine")
    assert (own.link_distance, own.average_distance) == (0.5, 0.625)
    asked = load_config(None, ["group.link_distance=0.9"]).group
    assert (for_model(asked, "mine").link_distance, for_model(asked, "mine").average_distance) == (0.9, 0.625)
    assert for_model(plain, "mine (aligned 2d)") == plain
    assert for_model(plain, "facenet-casia-webface") == plain
    assert for_model(plain, None) == plain


def test_without_any_those_of_the_settings_stay(weights_file: Path) -> None:
    save(weights_file, seconds="3")
    assert import_weights(weights_file).record.distances is None
    assert for_model(GroupConfig(), "mine") == GroupConfig()


def test_impossible_ones_are_refused(weights_file: Path) -> None:
    save(weights_file, link_distance="7", average_distance="1")
    with pytest.raises(WeightsError, match="out of range"):
        import_weights(weights_file)
