from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facepipe.benchmarks import peers
from facepipe.benchmarks.work import Work, default_photos, enlarge, find_photos
from facepipe.config import Config
from facepipe.errors import WrongUsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for index in range(9):
        Image.new("RGB", (250, 200), (index, 0, 0)).save(tmp_path / "sub" / f"{index}.png")
    (tmp_path / "notes.txt").write_text("no photo")
    return tmp_path


def test_photos_are_evenly_spaced(folder: Path) -> None:
    assert [path.stem for path in find_photos(folder, None)] == list("012345678")
    assert [path.stem for path in find_photos(folder, 3)] == list("036")
    assert len(find_photos(folder, 90)) == 9


def test_a_folder_without_photos_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError, match="holds no photos"):
        find_photos(tmp_path, None)


def test_no_data_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FACEPIPE_DATA", raising=False)
    with pytest.raises(WrongUsageError, match="--images DIR"):
        default_photos("lfw-dev")
    monkeypatch.setenv("FACEPIPE_DATA", str(tmp_path))
    with pytest.raises(WrongUsageError, match="lfw-dev/images"):
        default_photos("lfw-dev")


def test_crops_are_the_central_part(tmp_path: Path) -> None:
    pixels = np.zeros((250, 300, 3), np.uint8)
    pixels[61:189, 86:214] = 255  # 126 x 126 px and the one around that the filter reaches
    Image.fromarray(pixels).save(tmp_path / "0.png")
    crops = Work((tmp_path / "0.png",), Config(), 1).crops
    assert crops.shape == (1, 160, 160, 3)
    assert crops.dtype == np.uint8
    assert crops.min() == 255


def test_enlarged_photos_have_the_megapixels(folder: Path, tmp_path: Path) -> None:
    (path,) = enlarge(find_photos(folder, 1), 0.8, tmp_path)
    with Image.open(path) as picture:
        assert picture.format == "JPEG"
        assert picture.size == (1000, 800)


def test_a_missing_peer_is_one_sentence() -> None:
    with pytest.raises(WrongUsageError, match=r"\(no_such_peer missing\): run `make bench`"):
        peers.require("numpy", "no_such_peer")
