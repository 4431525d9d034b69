"""DeepFace as a user trains it and uses it: faces turned to the camera, in the whole job."""

import shutil
from pathlib import Path

import pytest
import safetensors.torch

from facepipe.models.cache import weights_path
from tests.program import facepipe


@pytest.fixture
def photos(data: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for photo in sorted((data / "album").glob("*.jpg"))[:3]:
        shutil.copy(photo, folder)
    return folder


def test_it_works_right_after_installation(photos: Path, weights: tuple[str, str], tmp_path: Path) -> None:
    library = tmp_path / "library"
    ran = facepipe("run", photos, "--library", library, "--engine", "local", "--embedder", "deepface", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["faces"] >= 3
    assert facepipe("check", "--library", library).code == 0
    more = facepipe(
        "extract", "--library", library, "--engine", "local", "--embedder", "deepface", "--set", "embed.alignment=box"
    )
    assert more.code == 2
    assert "come from deepface, not deepface (aligned box)" in more.err


def test_it_learns_and_its_file_tells_how_faces_are_aligned(
    data: Path, photos: Path, weights: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / "weights"
    home.mkdir(parents=True)
    for name in weights:
        (home / f"{name}.safetensors").symlink_to(weights_path(name))
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    people = tmp_path / "people"
    for person in [one for one in sorted((data / "lfw-train" / "images").iterdir()) if len(list(one.iterdir())) > 1][
        :8
    ]:
        shutil.copytree(person, people / person.name)
    train = ("train", "deepface", "--images", people, "--width", "0.0625", "--size", "72", "--alignment", "2d")
    done = facepipe(*train, "--engine", "local", "--effort", "0.01", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    state = safetensors.torch.load_file(done.json["weights"])
    assert state["alignment"].tolist() == [1]
    assert not [name for name in state if name.startswith("F8.")]
    assert (state["maxima"] != 1).any()
    assert facepipe("models", "import", done.json["weights"], "--name", "mine").code == 0
    ran = facepipe(
        *("run", photos, "--library", tmp_path / "library", "--engine", "local"),
        *("--embedder", "deepface", "--set", "embed.model=mine", "--json"),
    )
    assert ran.code == 0, ran.err
    other = facepipe(*train[:-1], "3d", "--engine", "local", "--effort", "0.01", "--out", tmp_path / "out")
    assert other.code == 2
    assert "another 'alignment'" in other.err
    odd = facepipe(
        "train", "deepface", "--images", people, "--size", "73", "--engine", "local", "--out", tmp_path / "odd"
    )
    assert (odd.code, "even number of pixels" in odd.err) == (2, True)
