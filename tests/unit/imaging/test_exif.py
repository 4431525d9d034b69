import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

from facepipe.imaging.decode import DecodedPhoto, decode_photo

Tags = Mapping[Any, Any]


def decoded(
    main: Tags | None = None, photo: Tags | None = None, gps: Tags | None = None, encoder: str = "JPEG"
) -> DecodedPhoto:
    exif = Image.Exif()
    exif.update(dict(main or {}))
    exif.get_ifd(IFD.Exif).update(photo or {})
    exif.get_ifd(IFD.GPSInfo).update(gps or {})
    if encoder == "TIFF":  # where Pillow writes only the parts that the main one names
        exif[IFD.Exif] = 0
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, encoder, exif=exif)
    return decode_photo(file.getvalue(), 64, 10**6)


def test_a_photo_without_exif_says_nothing() -> None:
    photo = decoded()
    assert (photo.taken_at, photo.camera, photo.latitude, photo.longitude) == (None, None, None, None)


@pytest.mark.parametrize("encoder", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_original_time_goes_before_the_time_of_the_file(encoder: str) -> None:
    main = {Base.DateTime: "2021:01:02 03:04:05"}
    original = {Base.DateTimeOriginal: "2020:12:31 23:59:58"}
    assert decoded(main, encoder=encoder).taken_at == datetime(2021, 1, 2, 3, 4, 5)
    assert decoded(main, original, encoder=encoder).taken_at == datetime(2020, 12, 31, 23, 59, 58)


@pytest.mark.parametrize(
    "nonsense", ["0000:00:00 00:00:00", "2020:13:01 00:00:00", "yesterday", "", "    :  :     :  :  "]
)
def test_a_time_that_is_none_is_left_out(nonsense: str) -> None:
    assert decoded({Base.DateTime: "2021:01:02 03:04:05"}, {Base.DateTimeOriginal: nonsense}).taken_at == datetime(
        2021, 1, 2, 3, 4, 5
    )
    assert decoded({Base.DateTime: nonsense}).taken_at is None


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D810", "NIKON D810"),
        ("  Apple ", "iPhone 12\0rest", "Apple iPhone 12"),
        ("Google", "", "Google"),
        ("", "X100", "X100"),
        ("A\nB", "C\tD", "A B C D"),
        ("", "", None),
        ("M" * 90, "x" * 90, "M" * 90 + " " + "x" * 9),
    ],
)
def test_make_and_model_become_one_clean_name(make: str, model: str, camera: str | None) -> None:
    assert decoded({Base.Make: make, Base.Model: model}).camera == camera


def place(latitude: tuple[Any, ...] = (52.0, 30.0, 36.0), north: str = "N", east: str = "E") -> DecodedPhoto:
    return decoded(
        gps={
            GPS.GPSLatitude: latitude,
            GPS.GPSLatitudeRef: north,
            GPS.GPSLongitude: (13.0, 24.0, 0.0),
            GPS.GPSLongitudeRef: east,
        }
    )


def test_places_are_degrees_with_a_sign() -> None:
    north_east = place()
    assert north_east.latitude == pytest.approx(52.51)
    assert north_east.longitude == pytest.approx(13.4)
    south_west = place(north="S", east="W")
    assert south_west.latitude == pytest.approx(-52.51)
    assert south_west.longitude == pytest.approx(-13.4)


@pytest.mark.parametrize("latitude", [(91.0, 0.0, 0.0), (IFDRational(0, 0), 0.0, 0.0), (1.0,), ()])
def test_half_a_place_is_none(latitude: tuple[Any, ...]) -> None:
    photo = place(latitude=latitude)
    assert (photo.latitude, photo.longitude) == (None, None)


def test_broken_exif_costs_nothing_but_itself() -> None:
    exif = Image.Exif()
    exif[Base.Make] = "Canon"
    exif[Base.DateTime] = "2021:01:02 03:04:05"
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "JPEG", exif=exif)
    data = bytearray(file.getvalue())
    start = data.index(b"Exif\0\0") + 6
    length = int.from_bytes(data[start - 8 : start - 6], "big") - 8
    data[start : start + length] = bytes((7 * i + 3) % 256 for i in range(length))
    photo = decode_photo(bytes(data), 64, 10**6)
    assert photo.pixels[4, 4].argmax() == 0
    assert photo.camera is None
