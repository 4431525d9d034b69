"""How faces are cut out follows from settings and weights, and vectors are named after it."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch

from facepipe.alignment.box_crop import FACENET_GROW, crop_faces
from facepipe.config import load_config
from facepipe.errors import WrongUsageError
from facepipe.models.deepface_network import DeepFaceNetwork
from facepipe.models.importing import import_weights
from facepipe.stages.align_faces import Crops, alignment_of, crops_for, cutter
from facepipe.stages.embed_faces import embedder_name, settings_of_embedder


@pytest.fixture
def own_deepface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A DeepFace of 72 px whose faces were aligned in the plane, under a name of its own."""
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    file = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(
        DeepFaceNetwork(0.0625, 72, alignment="2d").state_dict(),
        file,
        {"link_distance": "0.5", "average_distance": "0.6"},
    )
    import_weights(file, "mine")
    return "mine"


def test_the_weights_tell_how_faces_are_aligned(own_deepface: str) -> None:
    embed = load_config(None, ["embed.embedder=deepface", f"embed.model={own_deepface}"]).embed
    assert crops_for(embed) == Crops(72, (0.25, 0.25), "2d", "detector")
    assert embedder_name(embed) == "mine"
    other = embed.model_copy(update={"alignment": "3d", "fiducials": "dlib"})
    assert crops_for(other) == Crops(72, (0.25, 0.25), "3d", "dlib")
    assert embedder_name(other) == "mine (aligned 3d, points by dlib)"
    assert alignment_of(load_config(None, ["embed.embedder=vggface"]).embed) == "box"


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["embed.centre=false"],
        ["embed.alignment=box"],
        ["embed.centre=false", "embed.alignment=3d", "embed.fiducials=dlib"],
    ],
)
def test_a_name_tells_the_settings_again(own_deepface: str, settings: list[str]) -> None:
    chosen = ["embed.embedder=deepface", f"embed.model={own_deepface}", *settings]
    name = embedder_name(load_config(None, chosen).embed)
    told = settings_of_embedder(name).split()
    assert told[:2] == ["--embedder", "deepface"]
    again = [text for text in told[2:] if text != "--set"]
    assert embedder_name(load_config(None, ["embed.embedder=deepface", *again]).embed) == name


def test_weights_of_another_embedder_are_told_apart() -> None:
    with pytest.raises(WrongUsageError, match="'vggface' is of the architecture vgg, not deepface"):
        crops_for(load_config(None, ["embed.embedder=deepface", "embed.model=vggface"]).embed)


def test_an_unaligned_face_is_the_box_itself() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    boxes = np.array([[20.0, 20, 70, 80]], np.float32)
    cut = cutter(Crops(32, FACENET_GROW))
    np.testing.assert_array_equal(cut(photo, boxes, np.empty((0, 5, 2))), crop_faces(photo, boxes, 32, FACENET_GROW))
    assert cutter(Crops(32, (0.1, 0.1), "2d"))(photo, boxes, np.empty((0, 5, 2))).shape == (1, 32, 32, 3)
