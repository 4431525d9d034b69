import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from facepipe.errors import FacepipeError, WeightsError, WrongUsageError
from facepipe.models import load_weights
from facepipe.models.architectures import expected_shapes
from facepipe.models.cache import file_sha256, find_status
from facepipe.models.conversion import facenet_from_facenet_pytorch
from facepipe.models.importing import import_weights
from facepipe.models.mean import mean_embedding, write_mean
from tests.facenet_pytorch_layout import random_state

RELEASE = "20180402-114759-vggface2.pt"


@pytest.fixture(scope="module")
def theirs() -> dict[str, torch.Tensor]:
    return random_state(seed=4)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def random_mtcnn() -> dict[str, torch.Tensor]:
    return {name: torch.randn(shape) for name, shape in expected_shapes("mtcnn").items()}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_the_release_layout_is_folded_and_stored(
    theirs: dict[str, torch.Tensor], home: Path, tmp_path: Path, legacy: bool
) -> None:
    file = tmp_path / RELEASE
    torch.save(theirs, file, _use_new_zipfile_serialization=not legacy)
    imported = import_weights(file)
    assert imported.record.name == "facenet-vggface2"
    assert imported.record.architecture == "inception_resnet_v1"
    assert imported.record.source_sha256 == file_sha256(file)
    assert imported.recognised is False  # random weights are not the release's
    assert "VGGFace2" in imported.record.licence
    loaded, expected = load_weights("facenet-vggface2"), facenet_from_facenet_pytorch(theirs)
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    assert mean_embedding("facenet-vggface2") is None


def test_safetensors_of_a_known_architecture(home: Path, tmp_path: Path) -> None:
    state = random_mtcnn()
    file = tmp_path / "My Detector.safetensors"
    safetensors.torch.save_file(state, file)
    imported = import_weights(file, licence="mine")
    assert (imported.record.name, imported.record.architecture) == ("my-detector", "mtcnn")
    assert (imported.record.licence, imported.recognised) == ("mine", None)
    assert torch.equal(load_weights("my-detector")["onet.conv1.bias"], state["onet.conv1.bias"])
    assert find_status("my-detector") == "ready"


def test_a_mean_embedding_comes_along(theirs: dict[str, torch.Tensor], home: Path, tmp_path: Path) -> None:
    torch.save(theirs, tmp_path / "a.pt")
    mean = np.linspace(-0.04, 0.04, 512, dtype=np.float32)
    write_mean(tmp_path / "mean.safetensors", mean)
    import_weights(tmp_path / "a.pt", "with-mean", mean=tmp_path / "mean.safetensors")
    stored = mean_embedding("with-mean")
    assert stored is not None
    np.testing.assert_array_equal(stored, mean)


def test_a_mean_embedding_that_does_not_fit(home: Path, tmp_path: Path) -> None:
    safetensors.torch.save_file(random_mtcnn(), tmp_path / "detector.safetensors")
    write_mean(tmp_path / "mean.safetensors", np.zeros(512, np.float32))
    with pytest.raises(WrongUsageError, match=r"doesn't fit detector\.safetensors"):
        import_weights(tmp_path / "detector.safetensors", mean=tmp_path / "mean.safetensors")
    assert not home.exists()


def test_importing_again_replaces(home: Path, tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        state = random_mtcnn() | {"pnet.conv1.bias": torch.full((10,), value)}
        safetensors.torch.save_file(state, tmp_path / "a.safetensors")
        import_weights(tmp_path / "a.safetensors", "mine")
        assert float(load_weights("mine")["pnet.conv1.bias"][0]) == value


def test_the_first_difference_is_named_and_nothing_stored(home: Path, tmp_path: Path) -> None:
    state = random_mtcnn()
    changes: list[tuple[dict[str, torch.Tensor], str]] = [
        ({k: v for k, v in state.items() if k != "rnet.prelu3.weight"}, "'rnet.prelu3.weight' is missing"),
        (state | {"rnet.conv1.weight": torch.zeros(28, 3, 5, 5)}, r"\(28, 3, 5, 5\), not \(28, 3, 3, 3\)"),
        (state | {"pnet.conv9.weight": torch.zeros(1)}, "'pnet.conv9.weight' too many"),
    ]
    file = tmp_path / "mine.safetensors"
    for changed, message in changes:
        safetensors.torch.save_file(changed, file)
        with pytest.raises(WeightsError, match=f"mine.safetensors is no mtcnn: .*{message}"):
            import_weights(file)
    assert not home.exists()


class Attack:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_runs_code_is_refused_unrun(home: Path, tmp_path: Path) -> None:
    marker = tmp_path / "it ran"
    for legacy in (False, True):
        torch.save({"a": Attack(marker)}, tmp_path / RELEASE, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(WeightsError, match="no plain state dict") as caught:
            import_weights(tmp_path / RELEASE)
        assert "\n" not in str(caught.value)
    assert not marker.exists()
    assert not home.exists()


def test_damaged_files_are_one_sentence(theirs: dict[str, torch.Tensor], home: Path, tmp_path: Path) -> None:
    file = tmp_path / "it.pt"
    small = {name: theirs[name] for name in ("conv2d_1a.conv.weight", "conv2d_1a.bn.weight")}
    torch.save(small, file)
    pickled = file.read_bytes()
    torch.save(small, file, _use_new_zipfile_serialization=False)
    legacy = file.read_bytes()
    safetensors.torch.save_file(random_mtcnn(), file)
    safe = file.read_bytes()
    rng = np.random.default_rng(11)
    wrecks = [b"", b"{", b"photo", pickled, rng.bytes(4096)]
    wrecks += [data[: len(data) * k // 8] for data in (pickled, legacy, safe) for k in range(8)]
    for data in (pickled, legacy, safe[:20_000]):
        for _ in range(20):
            damaged = bytearray(data)
            for position in rng.integers(0, min(len(data), 1500), 5):
                damaged[position] = rng.integers(256)
            wrecks.append(bytes(damaged))
    for wreck in wrecks:
        file.write_bytes(wreck)
        with pytest.raises(FacepipeError) as caught:
            import_weights(file)
        assert "\n" not in str(caught.value)
    assert not home.exists()


def test_other_containers_than_a_state_dict(home: Path, tmp_path: Path) -> None:
    for content in ([torch.zeros(1)], {"a": 1}, {1: torch.zeros(1)}):
        torch.save(content, tmp_path / "it.pt")
        with pytest.raises(WeightsError, match="more than named tensors"):
            import_weights(tmp_path / "it.pt")


def test_names_are_guarded(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    safetensors.torch.save_file(random_mtcnn(), file)
    with pytest.raises(WrongUsageError, match="'mtcnn' is pulled"):
        import_weights(file, "mtcnn")
    with pytest.raises(WrongUsageError, match="can't name a model"):
        import_weights(file, "../../etc")
    with pytest.raises(WrongUsageError, match="'facenet-vggface2' is of inception_resnet_v1"):
        import_weights(file, "facenet-vggface2")
    with pytest.raises(WrongUsageError, match="cannot read"):
        import_weights(tmp_path / "absent.safetensors")


def test_the_source_hash_is_of_the_file_given(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    safetensors.torch.save_file(random_mtcnn(), file)
    assert import_weights(file).record.source_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
