"""Photos of every format, damaged in ways that a seed repeats, and a decoder of them for the isolated process."""

import io
import os
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image
from pillow_heif import register_heif_opener

from facepipe.imaging.decode import decode_photo
from facepipe.isolation.child import Call, Payload
from tests.icc_profiles import ADOBE_RGB, rgb_profile
from tests.raw_files import raw_file

_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:DateTimeOriginal="2019-07-04T12:34:56"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def _encoded(image: Image.Image, encoder: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, encoder, **options)
    return file.getvalue()


@cache
def originals() -> dict[str, bytes]:
    """Return undamaged photos of 96 x 64 by the name that a file of such a kind may have."""
    register_heif_opener()
    ramp = np.stack(np.meshgrid(np.arange(96), np.arange(64)), axis=2).astype(np.uint8)
    noise = np.random.default_rng(11).integers(0, 90, (64, 96, 3), dtype=np.uint8)
    image = Image.fromarray(np.dstack([ramp * 2, ramp[..., 0] + ramp[..., 1]]) // 2 + noise)
    exif = Image.Exif()
    exif.update({271: "Canon", 274: 6, 306: "2019:07:04 12:34:56"})
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 36.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    told: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": rgb_profile(ADOBE_RGB, 2.2)}
    frames = {"save_all": True, "append_images": [image.rotate(180)]}
    jpeg = _encoded(image, "JPEG", xmp=_XMP, **told)
    deep = np.asarray(image.convert("L")).astype(np.uint16) * 257
    return {
        "baseline.jpg": jpeg,
        "progressive.jpg": _encoded(image, "JPEG", progressive=True, **told),
        "inks.jpg": _encoded(image.convert("CMYK"), "JPEG"),
        "colour.png": _encoded(image, "PNG", **told),
        "palette.png": _encoded(image.quantize(64), "PNG", transparency=3),
        "deep.png": _encoded(Image.fromarray(deep), "PNG"),
        "lossy.webp": _encoded(image, "WEBP", xmp=_XMP, **told),
        "lossless.webp": _encoded(image, "WEBP", lossless=True, **frames),
        "moving.gif": _encoded(image, "GIF", **frames),
        "plain.bmp": _encoded(image, "BMP"),
        "plain.tif": _encoded(image, "TIFF", icc_profile=told["icc_profile"], **frames),
        "deflated.tif": _encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "lzw.tif": _encoded(image, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": _encoded(image, "TIFF", compression="jpeg"),
        "photo.heic": _encoded(image, "HEIF", xmp=_XMP, **told),
        "photo.avif": _encoded(image, "AVIF", xmp=_XMP, **told),
        "photo.jp2": _encoded(image, "JPEG2000"),
        "photo.dng": raw_file(jpeg, image.size, dng=True, orientation=6),
        "photo.arw": raw_file(jpeg, image.size, make="SONY"),
    }


def _flip_bits(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _flip_bits_of_the_header(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 5))):
        data[random.randrange(min(200, len(data)))] ^= 1 << random.randrange(8)


def _cut(data: bytearray, random: Random) -> None:
    del data[random.randrange(1, len(data) + 1) :]


def _zero(data: bytearray, random: Random) -> None:
    start, end = _range(data, random)
    data[start:end] = bytes(end - start)


def _delete(data: bytearray, random: Random) -> None:
    start, end = _range(data, random)
    del data[start:end]


def _duplicate(data: bytearray, random: Random) -> None:
    start, end = _range(data, random)
    data[end:end] = data[start:end] * random.choice((1, 2, 10))


def _splice(data: bytearray, random: Random) -> None:
    other = bytearray(random.choice(list(originals().values())))
    start, end = _range(other, random)
    place = random.randrange(len(data))
    data[place : place + random.choice((0, end - start))] = other[start:end]


def _edit_a_length(data: bytearray, random: Random) -> None:
    """Overwrite a number of two or four bytes, most likely one of the header's, with one that is often not expected."""
    width = random.choice((2, 4))
    place = random.randrange(min(len(data), random.choice((64, 512, len(data)))))
    number = random.choice((*_EXTREMES, random.getrandbits(32))) & ((1 << 8 * width) - 1)
    data[place : place + width] = number.to_bytes(width, random.choice(("big", "little")))


def _swap_the_header(data: bytearray, random: Random) -> None:
    length = random.choice((4, 12, 32, 128))
    data[:length] = random.choice(list(originals().values()))[:length]


def _range(data: bytearray, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data))
    return start, min(len(data), start + random.choice((1, 4, 16, 64, 512, 4096)))


_MUTATIONS: tuple[Callable[[bytearray, Random], None], ...] = (
    _flip_bits,
    _flip_bits_of_the_header,
    _cut,
    _zero,
    _delete,
    _duplicate,
    _splice,
    _edit_a_length,
    _edit_a_length,
    _swap_the_header,
)


def _mend_checksums(data: bytearray) -> None:
    """Give each chunk of a PNG the checksum that it should have, or no damage would come past the first of them."""
    place = 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        data[end : end + 4] = zlib.crc32(data[place + 4 : end]).to_bytes(4, "big") if end + 4 <= len(data) else b""
        place = end + 4


def write_mutated_files(folder: Path, count: int, seed: int) -> list[Path]:
    """Write `count` damaged photos into a folder, formats by turns, and return their paths; equal for equal seeds."""
    random = Random(seed)
    paths = []
    for place in range(count):
        name, original = list(originals().items())[place % len(originals())]
        data = bytearray(original)
        chosen = random.sample(_MUTATIONS, random.choice((1, 1, 1, 2, 3)))
        for mutate in chosen:
            if data:
                mutate(data, random)
        if name.endswith(".png") and random.random() < 0.7:
            _mend_checksums(data)
        paths.append(folder / f"{place:04}{''.join(mutate.__name__ for mutate in chosen)}_{name}")
        paths[-1].write_bytes(data)
    return paths


def open_decoder(max_side: int, max_pixels: int) -> Call:
    """Return the function from a file's path to a decoded photo's size and pixels, for the isolated process."""

    def decode(path: str) -> tuple[dict[str, Any], Payload]:
        photo = decode_photo(Path(path).read_bytes(), max_side, max_pixels)
        facts = {
            "size": (photo.width, photo.height),
            "shape": photo.pixels.shape,
            "dtype": str(photo.pixels.dtype),
            "process": os.getpid(),
            "peak_bytes": _peak_bytes(),
        }
        return facts, b""

    return decode


def _peak_bytes() -> int:
    """Return the most memory this process ever held; rusage would count its parent's before the start as well."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
