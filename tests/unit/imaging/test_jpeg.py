"""JPEGs: the scale they are decoded at, equal samples by either way, and which of them are cut short."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from facepipe.imaging.colour import Pixels
from facepipe.imaging.jpeg import decode_jpeg


def jpeg(width: int, height: int, mode: str = "RGB", **options: Any) -> bytes:
    noise = np.random.default_rng(5).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((width, height)).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def decoded(data: bytes, least_side: int = 10**6) -> Pixels:
    return decode_jpeg(JpegImageFile(io.BytesIO(data)), least_side)[0]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_smallest_scale_that_suffices(mode: str) -> None:
    data = jpeg(1600, 1199, mode)
    for least, longest in ((200, 200), (201, 400), (400, 400), (401, 800), (800, 800), (801, 1600), (5000, 1600)):
        samples = decoded(data, least)
        assert samples.shape[1::-1] == (longest, -(-1199 * longest // 1600))
        assert samples.shape[2:] == {"RGB": (3,), "L": (), "CMYK": (4,)}[mode]


def without_end(data: bytes) -> bytes:
    """Return the file with a byte after its end, for which Pillow decodes it."""
    return data + b"\1"


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}])
def test_both_ways_give_equal_samples(mode: str, options: dict[str, Any]) -> None:
    data = jpeg(203, 149, mode, **options)
    for least in (10**6, 101, 50, 25):
        np.testing.assert_array_equal(decoded(data, least), decoded(without_end(data), least))


def test_a_whole_file_takes_the_straight_way(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(64, 48)

    def fail(image: ImageFile.ImageFile) -> None:
        raise OSError("Pillow was asked")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    for least in (64, 32, 16, 8):
        decoded(data, least)
    with pytest.raises(OSError, match="Pillow was asked"):
        decoded(without_end(data))


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_only_what_lacks_no_pixel_may_lack_its_end(mode: str, options: dict[str, Any]) -> None:
    data = jpeg(120, 90, mode, **options)
    whole = decoded(data)
    for cut in (1, 2):
        np.testing.assert_array_equal(decoded(data[:-cut]), whole)
    np.testing.assert_array_equal(decoded(data[:-2] + bytes(1000)), whole)
    for cut in (4, 5, 9, 40, len(data) // 2):
        for padding in (b"", bytes(1000)):
            with pytest.raises(OSError, match=r"truncated|broken|stream"):
                decoded(data[:-cut] + padding)
