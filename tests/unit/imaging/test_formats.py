"""The formats beyond JPEG and PNG: decoded, limited, first frame only, and named where a decoder is missing."""

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image, features
from pillow_heif import register_heif_opener

from facepipe.errors import ErrorCode, PhotoError
from facepipe.imaging.decode import check_header, decode_photo

register_heif_opener()  # so that tests may write HEIC; facepipe registers nothing

TYPES = {"GIF": "image/gif", "AVIF": "image/avif", "HEIF": "image/heic", "JPEG2000": "image/jp2"}


def encode(image: Image.Image, encoder: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, encoder, **options)
    return file.getvalue()


def scene() -> Image.Image:
    image = Image.new("RGB", (96, 64), (200, 40, 20))
    image.paste((20, 40, 200), (0, 0, 48, 32))
    return image


@pytest.mark.parametrize("encoder", TYPES)
def test_a_photo_is_decoded(encoder: str) -> None:
    data = encode(scene(), encoder)
    header = check_header(data, 10**6)
    assert (header.media_type, header.width, header.height) == (TYPES[encoder], 96, 64)
    photo = decode_photo(data, 2048, 10**6)
    assert np.abs(photo.pixels.astype(int) - np.asarray(scene())).mean() < 4
    assert decode_photo(data, 48, 10**6).pixels.shape == (32, 48, 3)


@pytest.mark.parametrize("encoder", [*TYPES, "TIFF", "WEBP"])
def test_the_limit_holds_from_the_header(encoder: str) -> None:
    data = encode(scene(), encoder)
    assert check_header(data, 96 * 64).width == 96
    for limited in (check_header, lambda data, pixels: decode_photo(data, 2048, pixels)):
        with pytest.raises(PhotoError, match="96 x 64") as caught:
            limited(data, 96 * 64 - 1)
        assert caught.value.code == ErrorCode.TOO_LARGE


@pytest.mark.parametrize("encoder", ["GIF", "AVIF", "HEIF", "WEBP", "TIFF", "PNG"])
def test_only_the_first_frame_is_decoded(encoder: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "green")]
    data = encode(frames[0], encoder, save_all=True, append_images=frames[1:])
    assert decode_photo(data, 2048, 10**6).pixels[32, 32].argmax() == 0


def test_clear_parts_of_a_gif_are_white() -> None:
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 8))
    pixels = decode_photo(encode(image, "GIF"), 2048, 100).pixels
    assert (pixels[0, 0].tolist(), pixels[0, 7].tolist()) == ([255, 255, 255], [255, 0, 0])


@pytest.mark.parametrize("encoder", ["HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_every_orientation_ends_upright(encoder: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    exif[306] = "2019:07:04 12:34:56"
    photo = decode_photo(encode(scene(), encoder, exif=exif.tobytes()), 2048, 10**6)
    expected = np.rot90(np.asarray(scene()), {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    assert (photo.height, photo.width) == photo.pixels.shape[:2] == expected.shape[:2]
    assert np.abs(photo.pixels.astype(int) - expected).mean() < 4
    assert photo.taken_at is not None


@pytest.mark.parametrize("encoder", ["GIF", "AVIF", "HEIF", "JPEG2000"])
def test_a_photo_cut_short_is_truncated(encoder: str) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), encoder)
    for share in (0.1, 0.5, 0.9, 0.99):
        with pytest.raises(PhotoError) as caught:
            decode_photo(data[: int(len(data) * share)], 2048, 10**6)
        assert caught.value.code == ErrorCode.TRUNCATED


def test_without_pillow_heif_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match=r"facepipe\[heic\]") as caught:
        check_header(encode(scene(), "HEIF"), 10**6)
    assert caught.value.code == ErrorCode.UNSUPPORTED


def test_a_pillow_without_a_decoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(scene(), "AVIF")
    monkeypatch.setattr(features, "check", lambda feature: feature != "avif")
    with pytest.raises(PhotoError, match="avif") as caught:
        check_header(data, 10**6)
    assert caught.value.code == ErrorCode.UNSUPPORTED
