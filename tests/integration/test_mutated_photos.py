"""Damaged photos of every format: each ends as a photo or as an error with a code, and none harms its process."""

import io
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facepipe.errors import ErrorCode
from facepipe.isolation.calls import IsolatedCalls
from facepipe.library.library import Library
from facepipe.sources.uris import path_to_uri
from tests.mutated_files import open_decoder, originals, write_mutated_files
from tests.program import facepipe

MAX_SIDE, MAX_PIXELS = 64, 1_000_000
EXPECTED_CODES = {
    ErrorCode.EMPTY,
    ErrorCode.TRUNCATED,
    ErrorCode.NOT_AN_IMAGE,
    ErrorCode.UNSUPPORTED,
    ErrorCode.TOO_LARGE,
}
MOST_MEMORY = 250_000_000  # bytes of the whole process, which starts with about 75 million


def encoded(image: Image.Image, encoder: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, encoder, **options)
    return file.getvalue()


@pytest.fixture
def decode() -> IsolatedCalls:
    settings = {"max_side": MAX_SIDE, "max_pixels": MAX_PIXELS}
    return IsolatedCalls(open_decoder, settings, timeout_seconds=30, max_memory=2 << 30)


def check(decode: IsolatedCalls, paths: list[Path]) -> Counter[str]:
    """Decode all files in the isolated process; return how often each outcome came."""
    outcomes: Counter[str] = Counter()
    processes = set()
    for path, answer in zip(paths, decode([[str(path)] for path in paths])[0], strict=True):
        if answer.error:
            assert answer.error.code in EXPECTED_CODES, f"{path.name}: {answer.error.code} {answer.error}"
            assert str(answer.error), path.name
            outcomes[answer.error.code] += 1
            continue
        (width, height), (rows, columns, channels) = answer.facts["size"], answer.facts["shape"]
        assert 0 < width * height <= MAX_PIXELS, path.name
        assert (channels, answer.facts["dtype"]) == (3, "uint8"), path.name
        assert max(rows, columns) == min(MAX_SIDE, max(width, height)) or max(rows, columns) >= 0.9 * MAX_SIDE, (
            path.name
        )
        assert answer.facts["peak_bytes"] < MOST_MEMORY, path.name
        processes.add(answer.facts["process"])
        outcomes["decoded"] += 1
    assert len(processes) == 1, "a photo has ended the process"
    return outcomes


def test_undamaged_photos_of_every_format_are_decoded(decode: IsolatedCalls, tmp_path: Path) -> None:
    paths = []
    for name, data in originals().items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    assert check(decode, paths) == {"decoded": len(paths)}


@pytest.mark.parametrize(
    ("count", "seed"),
    [(200, 1), pytest.param(500, 2, marks=pytest.mark.long), pytest.param(5000, 3, marks=pytest.mark.long)],
)
def test_damaged_photos_end_as_photos_or_errors(decode: IsolatedCalls, tmp_path: Path, count: int, seed: int) -> None:
    outcomes = check(decode, write_mutated_files(tmp_path, count, seed))
    print(f"seed {seed}: {dict(outcomes)}")
    assert outcomes["decoded"] > count / 10
    assert outcomes[ErrorCode.TRUNCATED] > count / 10


def test_the_program_comes_through_damaged_photos(tmp_path: Path, weights: tuple[str, str]) -> None:
    (tmp_path / "photos").mkdir()
    paths = write_mutated_files(tmp_path / "photos", 200, seed=4)
    library = tmp_path / "library"
    outcome = facepipe(
        *("run", tmp_path / "photos", "--library", library, "--engine", "local", "--json"),
        *("--max-failed", "100%"),
    )
    assert outcome.code == 0, outcome.err
    assert outcome.json["photos_seen"] == len(paths)
    tables = Library.open(library)
    files, errors = (set(tables.read(name)["uri"].to_pylist()) for name in ("files", "errors"))
    assert files | errors == {path_to_uri(path) for path in paths}
    assert len(errors) == outcome.json["photos_failed"]
    assert set(tables.read("errors")["code"].to_pylist()) <= {code.value for code in EXPECTED_CODES}
    assert facepipe("check", "--library", library).code == 0


def test_a_seed_repeats_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (write_mutated_files(tmp_path / name, 30, 7) for name in "ab")
    assert [(path.name, path.read_bytes()) for path in first] == [(path.name, path.read_bytes()) for path in second]


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_with_too_much_data() -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + png_chunk(b"IDAT", zlib.compress(bytes(200_000_000), 9))
        + png_chunk(b"IEND", b"")
    )


def tiff_strip_with_too_much_data() -> bytes:
    data = encoded(Image.new("RGB", (64, 64)), "TIFF", compression="tiff_adobe_deflate")
    strip = zlib.compress(bytes(200_000_000), 9)
    for count in (279, 273):  # StripByteCounts, StripOffsets
        entry = data.index(struct.pack("<H", count), 8)
        value = len(strip) if count == 279 else len(data)
        data = data[: entry + 2] + struct.pack("<HII", 4, 1, value) + data[entry + 12 :]
    return data + strip


def tags_over_one_another() -> bytes:
    """Return an EXIF block of a megabyte in which 60,000 tags each claim nearly all of it."""
    entries = b"".join(struct.pack("<HHII", tag, 7, 1_000_000, 8) for tag in range(1, 60_000))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", 59_999) + entries + bytes(4)).ljust(1_100_000, b"x")


def jpeg_with_tags_over_one_another() -> bytes:
    data, exif = encoded(Image.new("RGB", (8, 8)), "JPEG"), tags_over_one_another()
    pieces = [b"Exif\0\0" + exif[place : place + 60_000] for place in range(0, len(exif), 60_000)]
    return data[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(piece) + 2) + piece for piece in pieces) + data[2:]


def webp_with_a_huge_canvas() -> bytes:
    small = encoded(Image.new("RGB", (8, 8)), "WEBP")[12:]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\x3f\0" * 2 + small
    return b"RIFF" + struct.pack("<I", len(body)) + body


def png_with_a_huge_packet() -> bytes:
    data = encoded(Image.new("RGB", (8, 8)), "PNG")
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + b"<a>" * 3_000_000
    return data[:33] + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet) + data[33:]


def gif_with_a_huge_screen() -> bytes:
    data = encoded(Image.new("RGB", (8, 8)), "GIF")
    return data[:6] + b"\xff\xff\xff\xff" + data[10:]


@pytest.mark.parametrize(
    "bomb",
    [
        png_with_too_much_data,
        tiff_strip_with_too_much_data,
        tags_over_one_another,
        jpeg_with_tags_over_one_another,
        webp_with_a_huge_canvas,
        png_with_a_huge_packet,
        gif_with_a_huge_screen,
    ],
)
def test_a_bomb_ends_as_a_photo_or_an_error_in_little_memory(
    decode: IsolatedCalls, tmp_path: Path, bomb: Callable[[], bytes]
) -> None:
    (tmp_path / "small.png").write_bytes(encoded(Image.new("RGB", (8, 8)), "PNG"))
    (tmp_path / "bomb").write_bytes(bomb())
    _, answer, after = decode([[str(tmp_path / name)] for name in ("small.png", "bomb", "small.png")])[0]
    if answer.error:
        assert answer.error.code in EXPECTED_CODES, str(answer.error)
    print(answer.error or "decoded", after.facts["peak_bytes"] / 1e6)
    assert after.facts["peak_bytes"] < MOST_MEMORY
