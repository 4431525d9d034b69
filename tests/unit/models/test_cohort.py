from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from facepipe.errors import WeightsError
from facepipe.models.cohort import Cohort, cohort_of, read_cohort, write_cohort


def test_the_shipped_cohort_fits_its_model() -> None:
    cohort = cohort_of("facenet-casia-webface")
    assert cohort is not None
    assert cohort.vectors.shape == (256, 512)
    assert np.allclose(np.linalg.norm(cohort.vectors, axis=1), 1, atol=2e-3)
    assert 0.2 < cohort.usual < 0.5


def test_models_without_a_cohort() -> None:
    assert cohort_of("mtcnn") is None
    assert cohort_of("never-imported") is None


def test_written_and_read(tmp_path: Path) -> None:
    vectors = np.eye(4, 8, dtype=np.float32)
    write_cohort(tmp_path / "cohort.safetensors", Cohort(vectors, 0.25))
    read = read_cohort(tmp_path / "cohort.safetensors")
    np.testing.assert_array_equal(read.vectors, vectors)
    assert read.vectors.dtype == np.float32
    assert read.usual == 0.25


@pytest.mark.parametrize(
    "tensors",
    [
        {"cohort": np.zeros((2, 4), np.float16)},
        {"cohort": np.zeros(4, np.float16), "usual": np.zeros(1, np.float32)},
        {"cohort": np.full((2, 4), np.nan, np.float16), "usual": np.zeros(1, np.float32)},
        {"cohort": np.zeros((0, 4), np.float16), "usual": np.zeros(1, np.float32)},
    ],
)
def test_other_contents_are_refused(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    file = tmp_path / "cohort.safetensors"
    file.write_bytes(safetensors.numpy.save(tensors))
    with pytest.raises(WeightsError, match="cohort"):
        read_cohort(file)


def test_an_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="can't be read"):
        read_cohort(tmp_path / "absent.safetensors")
