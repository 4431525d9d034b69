"""Known colours in, known colours out: bit depths, alpha, CMYK and embedded profiles."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from facepipe.imaging import colour
from facepipe.imaging.colour import eight_bits, to_srgb
from facepipe.imaging.decode import decode_photo
from tests.icc_profiles import ADOBE_RGB, DISPLAY_P3, SRGB, expected_srgb, grey_profile, rgb_profile

COLOURS = [(200, 100, 50), (20, 200, 30), (0, 0, 0), (255, 255, 255), (128, 128, 128), (90, 60, 220), (250, 245, 10)]


def decoded(image: Image.Image, encoder: str = "PNG", **options: Any) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, encoder, **options)
    return decode_photo(file.getvalue(), 2048, 10**9).pixels


def swatches() -> Image.Image:
    return Image.fromarray(np.repeat(np.array([COLOURS], np.uint8), 8, axis=0).repeat(8, axis=1))


@pytest.mark.parametrize(("primaries", "gamma"), [(ADOBE_RGB, 2.2), (DISPLAY_P3, 2.4), (SRGB, 1.8)])
@pytest.mark.parametrize("encoder", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_an_embedded_profile_is_applied(primaries: tuple[tuple[float, ...], ...], gamma: float, encoder: str) -> None:
    lossy: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 100, "subsampling": 0},
        "AVIF": {"quality": 100},
    }
    pixels = decoded(swatches(), encoder, icc_profile=rgb_profile(primaries, gamma), **lossy.get(encoder, {}))
    for place, wanted in enumerate(COLOURS):
        expected = expected_srgb(wanted, primaries, gamma)
        assert np.abs(pixels[4, place * 8 + 4] - expected).max() < (6 if encoder in {"JPEG", "AVIF"} else 2.5)


def test_colours_change_as_much_as_they_should() -> None:
    assert np.abs(expected_srgb((20, 200, 30), ADOBE_RGB, 2.2) - (20, 200, 30)).max() > 15


def test_a_profile_is_applied_after_shrinking() -> None:
    profile = rgb_profile(ADOBE_RGB, 2.2)
    file = io.BytesIO()
    Image.new("RGB", (500, 300), COLOURS[0]).save(file, "PNG", icc_profile=profile)
    pixels = decode_photo(file.getvalue(), 100, 10**9).pixels
    assert pixels.shape == (60, 100, 3)
    assert np.abs(pixels - expected_srgb(COLOURS[0], ADOBE_RGB, 2.2)).max() < 2.5


@pytest.mark.parametrize("encoder", ["PNG", "TIFF", "JPEG"])
def test_a_grey_profile_is_applied(encoder: str) -> None:
    pixels = decoded(Image.new("L", (16, 16), 100), encoder, icc_profile=grey_profile(1.0))
    expected = 255 * (1.055 * (100 / 255) ** (1 / 2.4) - 0.055)
    assert np.abs(pixels - expected).max() < 2.5


def test_a_grey_photo_with_an_rgb_profile_is_converted_too() -> None:
    pixels = decoded(Image.new("L", (4, 4), 100), icc_profile=rgb_profile(SRGB, 1.0))
    assert np.abs(pixels - 255 * (1.055 * (100 / 255) ** (1 / 2.4) - 0.055)).max() < 2.5


def ink_profile() -> bytes:
    """Return a CMYK profile in which every ink is as white as paper: only a program that applies it sees white."""
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])  # from 4 channels to 3, by a grid of 2 points a channel
    table += b"".join((65536 * (place % 4 == 0)).to_bytes(4, "big") for place in range(9))  # the unit matrix
    table += bytes(range(256)) * 4 + bytes([255, 128, 128]) * 2**4 + bytes(range(256)) * 3  # L*a*b* of 8 bits
    head = (144 + len(table)).to_bytes(4, "big") + b"none" + b"\x02\x40\0\0" + b"prtrCMYKLab " + bytes(12) + b"acsp"
    tags = (1).to_bytes(4, "big") + b"A2B0" + (144).to_bytes(4, "big") + len(table).to_bytes(4, "big")
    return head.ljust(128, b"\0") + tags + table


@pytest.mark.parametrize("encoder", ["JPEG", "TIFF"])
def test_a_profile_of_inks_is_applied(encoder: str) -> None:
    blue = Image.new("CMYK", (16, 16), (255, 200, 0, 0))
    assert decoded(blue, encoder)[8, 8, 0] < 20
    assert decoded(blue, encoder, icc_profile=ink_profile()).min() > 250


def test_ycck_is_told_from_cmyk() -> None:
    file = io.BytesIO()
    brightness, neutral, no_ink = 255 - 55, 255 - 128, 0  # Pillow stores all of them inverted
    Image.new("CMYK", (16, 16), (brightness, neutral, neutral, no_ink)).save(file, "JPEG", quality=100)
    data = bytearray(file.getvalue())
    adobe = data.index(b"Adobe")
    assert data[adobe + 11] == 0
    data[adobe + 11] = 2  # the transform: YCCK
    pixels = decode_photo(bytes(data), 2048, 10**9).pixels
    assert np.abs(pixels.astype(int) - 200).max() < 3


@pytest.mark.parametrize("profile", [b"", b"no profile", bytes(200), grey_profile(2.2), b"x" * (5 << 20)])
def test_a_broken_or_foreign_profile_costs_nothing(profile: bytes) -> None:
    pixels = np.full((2, 2, 3), 99, np.uint8)
    assert to_srgb(pixels, "RGB", profile) is pixels


def test_what_is_srgb_already_is_not_touched() -> None:
    pixels = np.asarray(swatches())
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert to_srgb(pixels, "RGB", srgb) is pixels


def test_each_profile_is_looked_at_once() -> None:
    colour._transform.cache_clear()
    for _ in range(5):
        to_srgb(np.zeros((2, 2, 3), np.uint8), "RGB", rgb_profile(ADOBE_RGB, 2.2))
    assert colour._transform.cache_info().misses == 1


def test_lab_becomes_srgb() -> None:
    lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    image = ImageCms.applyTransform(swatches(), lab)
    assert image is not None
    assert np.abs(decoded(image, "TIFF").astype(int) - np.asarray(swatches())).max() < 12  # 8 bits of L*a*b* are coarse


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("La", (2, 2), (0, 0)), 255),
        (Image.new("LA", (2, 2), (0, 51)), 204),
        (Image.new("L", (2, 2), 7), 7),
        (Image.new("1", (2, 2), 0), 0),
    ],
)
def test_grey_stays_grey_and_alpha_shows_white(image: Image.Image, expected: int) -> None:
    samples, space = eight_bits(image)
    assert (space, samples.tolist()) == ("L", [[expected] * 2] * 2)
    assert to_srgb(samples, space).shape == (2, 2, 3)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "I;16"])
def test_a_png_colour_that_means_transparent_shows_white(mode: str) -> None:
    image = Image.new(mode, (4, 1), 0)
    other: Any = (10, 20, 30) if mode == "RGB" else 1 if mode == "1" else 60_000 if mode == "I;16" else 99
    image.putpixel((2, 0), other)
    pixels = decoded(image, transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    shown = {"RGB": [10, 20, 30], "1": [255] * 3, "I;16": [60_000 >> 8] * 3, "L": [99] * 3}
    assert pixels[0, 2].tolist() == shown[mode]


def test_16_bit_tiff_keeps_its_upper_bits() -> None:
    image = Image.fromarray(np.array([[0x1234, 0xFFFF]], np.uint16))
    assert decoded(image, "TIFF")[0, :, 0].tolist() == [0x12, 0xFF]
    assert decoded(image, "TIFF", tiffinfo={262: 0})[0, :, 0].tolist() == [0xED, 0]  # white is zero
