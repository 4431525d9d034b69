import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from facepipe.config import load_config
from facepipe.doctor.finding import Finding
from facepipe.doctor.stores import examine_library, examine_weights
from facepipe.library.library import Library
from facepipe.models.cache import weights_path

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create_or_open(tmp_path / "library")


def weights(*settings: str) -> list[tuple[str, str]]:
    found = [finding for finding in examine_weights(load_config(None, settings)) if finding.name == "weights"]
    return [(finding.state, finding.found) for finding in found]


def in_library(library: Library) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine_library(library.location)}


def test_weights_are_ready_absent_or_corrupt(
    mtcnn_weights: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pulled = weights_path(mtcnn_weights)
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    shutil.copy(pulled, weights_path("mtcnn"))
    weights_path("facenet-casia-webface").write_bytes(b"cut off")
    (mtcnn_state, mtcnn), (facenet_state, facenet) = weights()
    assert mtcnn_state == "ok"
    assert mtcnn.startswith("mtcnn: ready")
    assert facenet_state == "fail"
    assert facenet.startswith("facenet-casia-webface: corrupt")
    assert weights("embed.model=facenet-vggface2")[1][1].startswith("facenet-vggface2: absent")
    assert weights("embed.model=nosuch")[1] == ("fail", "there is no model 'nosuch'")


def test_a_sound_library(library: Library) -> None:
    assert {name: finding.state for name, finding in in_library(library).items()} == {
        "library": "ok",
        "library lock": "ok",
        "library disk": "ok",
    }
    assert sorted(path.name for path in Path(library.location).iterdir()) == ["library.json", "tables", "writer.lock"]


def test_a_library_at_work_is_a_warning(library: Library) -> None:
    with library.writer("extract"):
        found = in_library(library)["library lock"]
    assert found.state == "warn"
    assert "another run (extract" in found.found


def test_no_library_is_a_failure(tmp_path: Path) -> None:
    (found,) = examine_library(str(tmp_path / "absent"))
    assert found.state == "fail"
    assert "there is no library" in found.found


def test_little_room_is_a_warning(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(1 << 40, 0, 1 << 20))
    assert in_library(library)["library disk"].state == "warn"
