from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from facepipe.errors import WeightsError
from facepipe.models.cache import Record, locked, publish_record
from facepipe.models.mean import mean_as_metadata, mean_embedding, mean_from_metadata, read_mean, write_mean


def test_the_shipped_mean_fits_its_model() -> None:
    mean = mean_embedding("facenet-casia-webface")
    assert mean is not None
    assert mean.shape == (512,)
    assert 0.05 < float(np.linalg.norm(mean)) < 0.9  # faces have something in common, and not everything


def test_models_without_a_mean() -> None:
    assert mean_embedding("mtcnn") is None
    assert mean_embedding("never-imported") is None


def test_the_mean_of_an_imported_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path))
    with locked("mine"):
        publish_record(Record("mine", "inception_resnet_v1", "", "f", "", "", (0.5, -0.25)))
    mean = mean_embedding("mine")
    assert mean is not None
    np.testing.assert_array_equal(mean, np.array([0.5, -0.25], np.float32))


def test_written_and_read(tmp_path: Path) -> None:
    mean = np.linspace(-0.05, 0.05, 512, dtype=np.float32)
    write_mean(tmp_path / "mean.safetensors", mean)
    np.testing.assert_array_equal(read_mean(tmp_path / "mean.safetensors"), mean)


@pytest.mark.parametrize(
    "tensors",
    [
        {"other": np.zeros(4, np.float32)},
        {"mean": np.zeros((2, 2), np.float32)},
        {"mean": np.zeros(4, np.float64)},
        {"mean": np.full(4, np.nan, np.float32)},
        {"mean": np.ones(4, np.float32)},  # a mean of unit vectors is shorter than they are
    ],
)
def test_other_contents_are_refused(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    file = tmp_path / "mean.safetensors"
    file.write_bytes(safetensors.numpy.save(tensors))
    with pytest.raises(WeightsError, match="mean embedding"):
        read_mean(file)


def test_unreadable_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="can't be read"):
        read_mean(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("a mean")
    with pytest.raises(WeightsError, match="can't be read"):
        read_mean(tmp_path / "text.safetensors")


def test_it_travels_in_metadata() -> None:
    mean = np.random.default_rng(0).uniform(-0.05, 0.05, 512).astype(np.float32)
    told = mean_from_metadata(mean_as_metadata(mean), "f")
    assert told is not None
    np.testing.assert_array_equal(told, mean)
    assert mean_from_metadata(mean_as_metadata(None), "f") is None


@pytest.mark.parametrize("told", ["", "none", '{"a": 1}', "[1, [2]]", "[[0.1]]", "[1e9]", "[NaN]", '["x"]'])
def test_metadata_that_tells_no_mean(told: str) -> None:
    with pytest.raises(WeightsError, match="some file"):
        mean_from_metadata({"mean": told}, "some file")
