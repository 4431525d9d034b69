import io
import sys
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from facepipe.errors import ErrorCode, PhotoError
from facepipe.imaging.camera_raw import camera_raw_type
from facepipe.imaging.decode import check_header, decode_photo
from tests.raw_files import raw_file


def preview(jpeg: bool = True, exif: Image.Exif | None = None) -> bytes:
    """320 x 240, red with a blue corner at the upper left."""
    image = Image.new("RGB", (320, 240), (200, 40, 20))
    image.paste((0, 0, 255), (0, 0, 160, 120))
    if not jpeg:
        return image.tobytes()
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, **({"exif": exif} if exif else {}))
    return file.getvalue()


def colour_at(pixels: np.ndarray, x: int, y: int) -> str:
    return "red" if pixels[y, x, 0] > pixels[y, x, 2] else "blue"


@pytest.mark.parametrize("jpeg", [True, False])
def test_the_preview_is_decoded_with_what_the_file_says(jpeg: bool) -> None:
    data = raw_file(preview(jpeg), (320, 240), dng=True, jpeg=jpeg)
    assert check_header(data, 10**6).media_type == "image/x-adobe-dng"
    photo = decode_photo(data, 2048, 10**6)
    assert (photo.width, photo.height) == (320, 240) == photo.pixels.shape[1::-1]
    assert (colour_at(photo.pixels, 10, 10), colour_at(photo.pixels, 300, 200)) == ("blue", "red")
    assert (photo.taken_at, photo.camera) == (datetime(2019, 7, 4, 12, 34, 56), "Canon test")


@pytest.mark.parametrize("jpeg", [True, False])
@pytest.mark.parametrize(("orientation", "blue"), [(3, (310, 230)), (6, (230, 10)), (8, (10, 310))])
def test_the_preview_ends_upright(jpeg: bool, orientation: int, blue: tuple[int, int]) -> None:
    data = raw_file(preview(jpeg), (320, 240), dng=True, jpeg=jpeg, orientation=orientation)
    photo = decode_photo(data, 2048, 10**6)
    assert (photo.width, photo.height) == photo.pixels.shape[1::-1] == ((320, 240) if orientation == 3 else (240, 320))
    assert colour_at(photo.pixels, *blue) == "blue"


def test_a_preview_that_knows_its_orientation_is_turned_once() -> None:
    exif = Image.Exif()
    exif[274] = 6
    photo = decode_photo(raw_file(preview(exif=exif), (320, 240), dng=True, orientation=6), 2048, 10**6)
    assert (photo.width, photo.height) == (240, 320)


def test_a_large_preview_is_shrunk_and_the_limit_holds() -> None:
    data = raw_file(preview(), (320, 240), make="SONY")
    assert decode_photo(data, 100, 10**6).pixels.shape == (75, 100, 3)
    for limited in (check_header, lambda data, pixels: decode_photo(data, 100, pixels)):
        with pytest.raises(PhotoError) as caught:
            limited(data, 320 * 240 - 1)
        assert caught.value.code == ErrorCode.TOO_LARGE


@pytest.mark.parametrize(
    ("make", "media_type"),
    [
        ("NIKON CORPORATION", "image/x-nikon-nef"),
        ("SONY", "image/x-sony-arw"),
        ("PENTAX Corporation", "image/x-pentax-pef"),
        ("SAMSUNG", "image/x-samsung-srw"),
        ("Phase One", "image/x-dcraw"),
    ],
)
def test_a_mosaic_makes_a_tiff_raw(make: str, media_type: str) -> None:
    assert camera_raw_type(raw_file(preview(), (320, 240), make=make)) == media_type


def test_a_plain_tiff_is_none_even_from_a_camera() -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[271] = "NIKON CORPORATION"
    Image.new("RGB", (8, 8)).save(file, "TIFF", exif=exif)
    assert camera_raw_type(file.getvalue()) is None
    assert check_header(file.getvalue(), 100).media_type == "image/tiff"


@pytest.mark.parametrize(
    "data", [b"II*\0", b"II*\0\x08\0\0\0", b"MM\0+" + bytes(20), b"II*\0\x08\0\0\0\xff\xff" + b"\1" * 99]
)
def test_a_broken_tiff_is_not_raw(data: bytes) -> None:
    assert camera_raw_type(data) is None


def test_directories_in_a_circle_come_to_an_end() -> None:
    directory = b"\1\0" + bytes([74, 1, 4, 0, 1, 0, 0, 0, 8, 0, 0, 0]) + bytes([8, 0, 0, 0])  # the next one: itself
    assert camera_raw_type(b"II*\0\x08\0\0\0" + directory) is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_raw_file_cut_short_is_an_error(share: float) -> None:
    data = raw_file(preview(), (320, 240), dng=True)
    with pytest.raises(PhotoError) as caught:
        decode_photo(data[: int(len(data) * share)], 2048, 10**6)
    assert caught.value.code in {ErrorCode.TRUNCATED, ErrorCode.UNSUPPORTED}


def test_without_the_library_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(PhotoError, match=r"facepipe\[raw\]") as caught:
        check_header(raw_file(preview(), (320, 240), dng=True), 10**6)
    assert caught.value.code == ErrorCode.UNSUPPORTED


@pytest.mark.parametrize(
    "head", [b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0", b"IIU\0\x18\0\0\0", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"]
)
def test_what_libraw_does_not_know_is_an_error_not_a_crash(head: bytes) -> None:
    with pytest.raises(PhotoError) as caught:
        decode_photo(head + bytes(5000), 2048, 10**6)
    assert caught.value.code in {ErrorCode.TRUNCATED, ErrorCode.UNSUPPORTED}
