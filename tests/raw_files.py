"""Small camera raw files, built tag by tag: a preview that a camera would have developed beside a sensor's mosaic."""

import struct
from collections.abc import Sequence

Value = int | str | bytes | Sequence[int]
Directory = dict[int, tuple[int, Value]]  # tag: type, value

BYTE, ASCII, SHORT, LONG, RATIONAL = 1, 2, 3, 4, 5
_FORMATS = {BYTE: "B", SHORT: "H", LONG: "I"}
_MOSAIC = (64, 48)


def _encoded(kind: int, value: Value) -> tuple[int, bytes]:
    """Return how many values there are, and their bytes (little-endian)."""
    if isinstance(value, str):
        return len(value) + 1, value.encode() + b"\0"
    if isinstance(value, bytes):
        return len(value), value
    values = [value] if isinstance(value, int) else list(value)
    if kind == RATIONAL:
        return len(values) // 2, struct.pack(f"<{len(values)}I", *values)
    return len(values), struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)


def _directory(tags: Directory, offset: int) -> bytes:
    """Return a directory that lies at `offset`, with the values that don't fit into it behind it."""
    start = offset + 2 + 12 * len(tags) + 4
    entries, behind = b"", b""
    for tag, (kind, value) in sorted(tags.items()):
        count, data = _encoded(kind, value)
        place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", start + len(behind))
        behind += data + b"\0" * (len(data) % 2) if len(data) > 4 else b""
        entries += struct.pack("<HHI", tag, kind, count) + place
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + behind


def raw_file(
    preview: bytes,
    size: tuple[int, int],
    *,
    make: str = "Canon",
    dng: bool = False,
    orientation: int = 1,
    jpeg: bool = True,
) -> bytes:
    """Return a raw file made of a preview of `size` and a mosaic of 64 x 48 samples.

    Args:
        preview: JPEG, or the bytes of an RGB picture.
        size: of the preview, in pixels.
        make: of the camera.
        dng: whether it calls itself DNG.
        orientation: as in EXIF.
        jpeg: what the preview is.
    """
    mosaic = struct.pack(f"<{_MOSAIC[0] * _MOSAIC[1]}H", *(i % 4096 for i in range(_MOSAIC[0] * _MOSAIC[1])))
    data = b"II*\0" + b"\0\0\0\0"
    preview_at = len(data)
    data += preview + b"\0" * (len(preview) % 2)
    mosaic_at = len(data)
    data += mosaic
    sensor_at = len(data)
    data += _directory(
        {
            254: (LONG, 0),
            256: (LONG, _MOSAIC[0]),
            257: (LONG, _MOSAIC[1]),
            258: (SHORT, 16),
            259: (SHORT, 1),
            262: (SHORT, 32803),
            273: (LONG, mosaic_at),
            277: (SHORT, 1),
            278: (LONG, _MOSAIC[1]),
            279: (LONG, len(mosaic)),
            33421: (SHORT, (2, 2)),
            33422: (BYTE, bytes([0, 1, 1, 2])),
        },
        sensor_at,
    )
    exif_at = len(data)
    data += _directory({36867: (ASCII, "2019:07:04 12:34:56")}, exif_at)
    main: Directory = {
        254: (LONG, 1),
        256: (LONG, size[0]),
        257: (LONG, size[1]),
        258: (SHORT, (8, 8, 8)),
        259: (SHORT, 7 if jpeg else 1),
        262: (SHORT, 6 if jpeg else 2),
        271: (ASCII, make),
        272: (ASCII, f"{make} test"),
        273: (LONG, preview_at),
        274: (SHORT, orientation),
        277: (SHORT, 3),
        278: (LONG, size[1]),
        279: (LONG, len(preview)),
        306: (ASCII, "2019:07:04 12:34:56"),
        330: (LONG, sensor_at),
        34665: (LONG, exif_at),
    }
    if dng:
        main[50706] = (BYTE, bytes([1, 4, 0, 0]))
        main[50708] = (ASCII, f"{make} test")
    main_at = len(data)
    data += _directory(main, main_at)
    return data[:4] + struct.pack("<I", main_at) + data[8:]
