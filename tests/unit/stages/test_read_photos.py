"""Photo files become identities and pixels, one process away."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from facepipe import schemas
from facepipe.config import DecodeConfig
from facepipe.duplicates.hashing import perceptual_hash
from facepipe.imaging.decode import decode_photo
from facepipe.sources.scan_sources import list_files
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.pixels import photos_of
from facepipe.stages.read_photos import ReadPhotos

Apply = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def identify() -> Apply:
    return IdentifyFiles(DecodeConfig()).open()


@pytest.fixture(scope="module")
def read() -> Apply:
    return ReadPhotos(DecodeConfig(max_side=100)).open()


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Three photos between three files that are none."""
    rng = np.random.default_rng(11)
    for name, size in (("a.png", (30, 20)), ("IMG_20190704_123456.jpg", (150, 300)), ("z.webp", (64, 64))):
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "b.jpg").touch()
    (tmp_path / "c.jpg").write_text("no photo")
    photo = (tmp_path / "IMG_20190704_123456.jpg").read_bytes()
    (tmp_path / "d.jpg").write_bytes(photo[: len(photo) // 2])
    names = ["a.png", "b.jpg", "c.jpg", "IMG_20190704_123456.jpg", "d.jpg", "z.webp"]
    return [tmp_path / name for name in names]


def listed(paths: list[Path]) -> pa.Table:
    table = list_files(paths)
    return table.append_column("read_from", table["uri"])


def test_files_are_identified_by_their_bytes(paths: list[Path], identify: Apply) -> None:
    found = identify(listed(paths))
    assert found["status"].to_pylist() == ["", "empty", "not_an_image", "", "", ""]
    assert found["media_type"].to_pylist() == ["image/png", None, None, "image/jpeg", "image/jpeg", "image/webp"]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert found["photo_id"].to_pylist() == [digests[0], None, *digests[2:]]
    assert found["bytes"].to_pylist() == [path.stat().st_size for path in paths]


def test_a_size_that_was_not_listed_is_found_by_reading(paths: list[Path], identify: Apply) -> None:
    table = listed(paths)
    unknown = pa.array([None, 0, None, 7, None, 8], pa.int64())
    found = identify(table.set_column(table.schema.get_field_index("bytes"), "bytes", unknown))
    sizes = [path.stat().st_size for path in paths]
    assert found["bytes"].to_pylist() == [sizes[0], 0, sizes[2], 7, sizes[4], 8]


def test_pixels_are_those_of_decoding_here(paths: list[Path], identify: Apply, read: Apply) -> None:
    photos = read(identify(listed(paths)))
    assert photos["status"].to_pylist() == ["", "empty", "not_an_image", "", "truncated", ""]
    assert photos.schema.field("pixels").type == schemas.DECODED_PHOTO.field("pixels").type
    assert photos["pixels"].is_null().to_pylist() == [False, True, True, False, True, False]
    for path, row, (pixels, scale) in zip(paths, photos.to_pylist(), photos_of(photos), strict=True):
        if row["status"]:
            assert pixels.size == 0
            assert row["message"]
            continue
        expected = decode_photo(path.read_bytes(), 100, 10**6)
        np.testing.assert_array_equal(pixels, expected.pixels)
        assert (row["width"], row["height"]) == (expected.width, expected.height)
        assert scale == pixels.shape[1] / expected.width
        assert row["perceptual_hash"] == perceptual_hash(expected.pixels)


def test_a_file_name_tells_the_date_where_nothing_else_does(paths: list[Path], identify: Apply, read: Apply) -> None:
    exif = Image.Exif()
    exif[0x0132] = "2001:02:03 04:05:06"
    Image.new("RGB", (8, 8)).save(paths[0], exif=exif)
    dates = read(identify(listed(paths)))["taken_at"].to_pylist()
    assert dates[0] == datetime(2001, 2, 3, 4, 5, 6)
    assert dates[3] == datetime(2019, 7, 4, 12, 34, 56)
    assert dates[5] is None


def test_bytes_come_from_where_they_are_to_be_read_from(paths: list[Path], identify: Apply, read: Apply) -> None:
    found = identify(listed(paths))
    moved = paths[3].rename(paths[3].with_name("elsewhere"))
    uris = [found["uri"][3].as_py().rpartition("/")[0] + "/" + moved.name]
    row = found.slice(3, 1)
    assert read(row)["status"].to_pylist() == ["vanished"]
    photo = read(row.set_column(row.schema.get_field_index("read_from"), "read_from", pa.array(uris)))
    assert photo["status"].to_pylist() == [""]
    assert photo["taken_at"].to_pylist() == [datetime(2019, 7, 4, 12, 34, 56)]


def test_a_file_that_has_changed_is_not_taken_for_what_it_was(paths: list[Path], identify: Apply, read: Apply) -> None:
    found = identify(listed(paths))
    paths[5].write_bytes(paths[0].read_bytes())
    photos = read(found)
    assert photos["status"].to_pylist()[5] == "vanished"
    assert "run ingest again" in photos["message"].to_pylist()[5]


def test_a_batch_of_failed_rows_passes_untouched(paths: list[Path], identify: Apply, read: Apply) -> None:
    found = identify(listed(paths[1:3]))
    photos = read(found)
    assert photos.select(found.column_names).equals(found)
    assert photos["pixels"].null_count == 2


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path, read: Apply) -> None:
    with (tmp_path / "film.jpg").open("wb") as file:
        file.truncate(2 << 30)  # sparse: it takes no room
    identify = IdentifyFiles(DecodeConfig(max_memory=1 << 28)).open()  # reading it would be `too_large` differently
    found = identify(listed([tmp_path / "film.jpg"]))
    assert found["status"].to_pylist() == ["too_large"]
    assert "decode.max_bytes" in found["message"].to_pylist()[0]


def test_the_isolated_process_imports_nothing_heavy() -> None:
    script = "import sys, facepipe.isolation.child, facepipe.stages.photo_files; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"PIL", "cv2", "numpy"} <= loaded
    assert not {"torch", "ray", "pyarrow", "pydantic", "deltalake", "scipy", "faiss", "click"} & loaded
