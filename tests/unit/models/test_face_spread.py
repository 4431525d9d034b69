from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from facepipe.errors import WeightsError
from facepipe.models.face_spread import FaceSpread, read_spread, spread_of, write_spread


@pytest.fixture(scope="module")
def shipped() -> FaceSpread:
    spread = spread_of("facenet-casia-webface")
    assert spread is not None
    return spread


def test_the_shipped_spread_fits_its_model(shipped: FaceSpread) -> None:
    assert shipped.axes.shape == (512, 96)
    assert np.allclose(shipped.axes.T @ shipped.axes, np.eye(96), atol=2e-3)
    assert shipped.shares.sum() == pytest.approx(1, abs=1e-4)
    lengths = (shipped.shares @ shipped.types**2).sum() + shipped.between.sum()
    assert lengths == pytest.approx(1, abs=0.05)  # of centres, which are of unit length
    assert (shipped.directions**2).sum() == pytest.approx(1, abs=0.01)


def test_no_type_is_less_than_three_people(shipped: FaceSpread) -> None:
    assert shipped.shares.min() * 845 > 2.99  # people in lfw-train


def test_it_is_small() -> None:
    from facepipe.models.registry import MODELS

    file = MODELS["facenet-casia-webface"].spread_file
    assert file is not None
    assert file.stat().st_size < 300_000


def test_models_without_a_spread() -> None:
    assert spread_of("mtcnn") is None
    assert spread_of("never-imported") is None


def test_written_and_read(shipped: FaceSpread, tmp_path: Path) -> None:
    write_spread(tmp_path / "spread.safetensors", shipped)
    for name, tensor in read_spread(tmp_path / "spread.safetensors")._asdict().items():
        np.testing.assert_array_equal(tensor, getattr(shipped, name), err_msg=name)
        assert tensor.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("types", np.zeros((3, 4), np.float16)),
        ("deviation", np.zeros(2, np.float32)),
        ("between", np.full(96, np.nan, np.float32)),
        ("cohort", np.zeros(3, np.float32)),
    ],
)
def test_other_contents_are_refused(shipped: FaceSpread, name: str, tensor: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "spread.safetensors"
    file.write_bytes(safetensors.numpy.save({**shipped._asdict(), name: tensor}))
    with pytest.raises(WeightsError, match="no face spread"):
        read_spread(file)


def test_an_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="can't be read"):
        read_spread(tmp_path / "absent.safetensors")
