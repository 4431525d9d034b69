"""Real files made by Pillow: formats, orientations, modes, scales, limits and damage."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from facepipe.errors import ErrorCode, PhotoError
from facepipe.imaging.colour import Pixels
from facepipe.imaging.decode import check_header, decode_photo

ANY = 10**9


def encode(image: Image.Image, encoder: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, encoder, **options)
    return file.getvalue()


def scene(width: int = 60, height: int = 40) -> Pixels:
    """A smooth picture in which left, right, up and down differ."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 255 * (x + y) / (width + height)], axis=2).astype(np.uint8)


def failure(data: bytes, max_side: int = 2048, max_pixels: int = ANY) -> ErrorCode:
    with pytest.raises(PhotoError) as caught:
        decode_photo(data, max_side, max_pixels)
    return caught.value.code


@pytest.mark.parametrize("encoder", ["PNG", "BMP", "TIFF"])
def test_a_lossless_photo_comes_back_exactly(encoder: str) -> None:
    decoded = decode_photo(encode(Image.fromarray(scene()), encoder), 2048, ANY)
    np.testing.assert_array_equal(decoded.pixels, scene())
    assert (decoded.width, decoded.height) == (60, 40)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("encoder", ["JPEG", "WEBP"])
def test_a_lossy_photo_comes_back_nearly(encoder: str) -> None:
    decoded = decode_photo(encode(Image.fromarray(scene()), encoder, quality=95), 2048, ANY)
    assert np.abs(decoded.pixels.astype(int) - scene()).mean() < 3


def upright_by_hand(pixels: Pixels, orientation: int) -> Pixels:
    """Return the pixels by the table of the EXIF standard: where the stored row 0 and column 0 belong."""
    turn: dict[int, Callable[[Pixels], Pixels]] = {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.rot90(p, 2),
        4: np.flipud,
        5: lambda p: np.fliplr(np.rot90(p, -1)),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.fliplr(np.rot90(p, 1)),
        8: lambda p: np.rot90(p, 1),
    }
    return turn[orientation](pixels)


@pytest.mark.parametrize("encoder", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_ends_upright(encoder: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if encoder == "WEBP" else {"quality": 95} if encoder == "JPEG" else {}
    data = encode(Image.fromarray(scene()), encoder, exif=exif, **options)
    decoded = decode_photo(data, 2048, ANY)
    expected = upright_by_hand(scene(), orientation)
    assert (decoded.height, decoded.width) == expected.shape[:2] == decoded.pixels.shape[:2]
    assert np.abs(decoded.pixels.astype(int) - expected).mean() < 3
    pillows = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    np.testing.assert_array_equal(decoded.pixels, pillows)


def test_an_orientation_out_of_range_means_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    np.testing.assert_array_equal(decode_photo(encode(Image.fromarray(scene()), exif=exif), 2048, ANY).pixels, scene())


@pytest.mark.parametrize("encoder", ["JPEG", "PNG"])
@pytest.mark.parametrize(("max_side", "size"), [(400, (400, 267)), (150, (150, 100)), (100, (100, 67)), (61, (61, 41))])
def test_a_large_photo_is_averaged_down_to_the_longest_side(encoder: str, max_side: int, size: tuple[int, int]) -> None:
    data = encode(Image.fromarray(scene(600, 400)), encoder)
    decoded = decode_photo(data, max_side, ANY)
    assert decoded.pixels.shape[1::-1] == size
    assert (decoded.width, decoded.height) == (600, 400)
    area = np.asarray(Image.fromarray(scene(600, 400)).resize(size, Image.Resampling.BOX))
    assert np.abs(decoded.pixels.astype(int) - area).mean() < 4


def test_a_thin_photo_keeps_at_least_one_pixel() -> None:
    assert decode_photo(encode(Image.new("RGB", (3000, 1))), 64, ANY).pixels.shape == (1, 64, 3)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("1", (4, 4), 1), (255, 255, 255)),
        (Image.new("L", (4, 4), 77), (77, 77, 77)),
        (Image.new("LA", (4, 4), (0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (200, 100, 0, 255)), (200, 100, 0)),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 51)), (204, 204, 204)),
        (Image.new("RGB", (4, 4), (9, 99, 199)).quantize(), (9, 99, 199)),
        (Image.new("I;16", (4, 4), 0xABCD), (0xAB, 0xAB, 0xAB)),
    ],
    ids=["bilevel", "grey", "grey_alpha", "opaque", "transparent", "shaded", "palette", "16_bit"],
)
def test_every_kind_of_png_becomes_8_bit_rgb(image: Image.Image, expected: tuple[int, int, int]) -> None:
    pixels = decode_photo(encode(image), 2048, ANY).pixels
    assert pixels.shape == (4, 4, 3)
    assert np.unique(pixels.reshape(-1, 3), axis=0).tolist() == [list(expected)]


def test_a_palette_with_a_transparent_colour_shows_white_there() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 0, 50, 60, 70])
    image.putpixel((1, 2), 1)
    pixels = decode_photo(encode(image, transparency=0), 2048, ANY).pixels
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[2, 1].tolist() == [50, 60, 70]


def test_cmyk_becomes_rgb() -> None:
    white_and_cyan = Image.new("CMYK", (16, 16), (0, 0, 0, 0))
    white_and_cyan.paste((255, 0, 0, 0), (8, 0, 16, 16))
    pixels = decode_photo(encode(white_and_cyan, "JPEG", quality=100), 2048, ANY).pixels
    assert pixels[8, 2].min() > 245
    assert np.abs(pixels[8, 13].astype(int) - [0, 255, 255]).max() < 12


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint16])
def test_a_deep_grey_tiff_spans_black_to_white(dtype: type) -> None:
    ramp: np.ndarray = np.linspace(0, 65535, 256).astype(dtype).reshape(16, 16)
    pixels = decode_photo(encode(Image.fromarray(ramp), "TIFF"), 2048, ANY).pixels
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[-1, -1].tolist() == [255, 255, 255]
    assert (np.diff(pixels[..., 0].ravel().astype(int)) >= 0).all()


def test_16_bit_colour_keeps_its_upper_bits() -> None:
    row = b"\x00" + struct.pack(">6H", 0x1234, 0x8000, 0xFFFF, 0, 0x00FF, 0x0100)  # two pixels

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    assert decode_photo(data, 2048, ANY).pixels.tolist() == [[[0x12, 0x80, 0xFF], [0, 0, 1]]]


def test_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for encoder in ("TIFF", "WEBP", "PNG"):
        data = encode(frames[0], encoder, save_all=True, append_images=frames[1:])
        assert decode_photo(data, 2048, ANY).pixels[4, 4].argmax() == 0


@pytest.mark.parametrize("encoder", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_photo_cut_short_is_truncated(encoder: str, share: float) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), encoder)
    assert failure(data[: max(20, int(len(data) * share))]) == ErrorCode.TRUNCATED


def test_bytes_that_are_no_photo() -> None:
    assert failure(b"") == ErrorCode.EMPTY
    assert failure(b"Dear diary, this is text in a file called .jpg") == ErrorCode.NOT_AN_IMAGE
    assert failure(b"\xff\xd8\xff\xe0 but then text") == ErrorCode.TRUNCATED
    assert failure(b"8BPS\0\1 a layered picture") == ErrorCode.UNSUPPORTED
    assert failure(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2 a film") == ErrorCode.UNSUPPORTED


def bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )


def test_a_bomb_is_refused_from_its_header_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    idat = zlib.compress(b"\0" * 100)
    data = (
        bomb(30_000, 30_000)
        + struct.pack(">I", len(idat))
        + b"IDAT"
        + idat
        + struct.pack(">I", zlib.crc32(b"IDAT" + idat))
    )
    assert failure(data, max_pixels=300_000_000) == ErrorCode.TOO_LARGE
    with pytest.raises(PhotoError, match="30000 x 30000"):
        check_header(data, 300_000_000)
    assert check_header(data, 30_000**2).width == 30_000  # the limit itself is allowed, though Pillow's own is lower
    assert not recwarn.list


def test_the_limit_counts_pixels() -> None:
    data = encode(Image.new("RGB", (30, 20)))
    assert decode_photo(data, 2048, 600).width == 30
    assert failure(data, max_pixels=599) == ErrorCode.TOO_LARGE


@pytest.mark.parametrize("error", [ValueError("odd"), RuntimeError("odd"), MemoryError(), OverflowError()])
def test_whatever_a_decoder_raises_is_the_fault_of_the_bytes(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(image: Image.Image) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    code = failure(encode(Image.fromarray(scene()), "PNG"))
    assert code == (ErrorCode.TOO_LARGE if isinstance(error, MemoryError) else ErrorCode.TRUNCATED)


def test_a_fault_of_our_own_is_told_from_bad_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image: Image.Image) -> None:
        raise ValueError("odd")

    monkeypatch.setattr("facepipe.imaging.decode.read_facts", fail)
    assert failure(encode(Image.fromarray(scene()), "PNG")) == ErrorCode.INTERNAL


def test_deflate_bombs_in_text_and_profiles_are_refused_without_being_unpacked() -> None:
    zeros = zlib.compress(bytes(50_000_000))
    end = encode(Image.fromarray(scene()))[33:]
    for name, head in ((b"zTXt", b"Comment\0\0"), (b"iCCP", b"icc\0\0"), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0")):
        body = head + zeros
        chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        tracemalloc.start()
        assert failure(bomb(60, 40) + chunk + end) == ErrorCode.TRUNCATED
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()


def test_the_header_says_type_and_size() -> None:
    header = check_header(encode(Image.new("RGB", (30, 20)), "JPEG"), ANY)
    assert (header.media_type, header.width, header.height) == ("image/jpeg", 30, 20)
