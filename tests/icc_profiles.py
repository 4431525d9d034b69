"""Small ICC profiles of known colours, built tag by tag (ICC.1:2001-04), and what their colours are in sRGB."""

import struct

import numpy as np

_D50 = (0.9642, 1.0, 0.8249)
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
"""Red, green and blue of three colour spaces, as XYZ adapted to D50."""


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"none", 0x02400000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + b"".join(map(_fixed, _D50))
    return head.ljust(128, b"\0") + table + body


def _gamma(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def _xyz(value: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, value))


def rgb_profile(primaries: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    """Return a matrix profile: each channel to the power of `gamma`, times its primary."""
    tags = {name: _xyz(value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    tags |= {name: _gamma(gamma) for name in (b"rTRC", b"gTRC", b"bTRC")}
    return _profile(b"RGB ", tags | {b"wtpt": _xyz(_D50)})


def grey_profile(gamma: float) -> bytes:
    return _profile(b"GRAY", {b"kTRC": _gamma(gamma), b"wtpt": _xyz(_D50)})


def expected_srgb(colour: tuple[int, int, int], primaries: tuple[tuple[float, ...], ...], gamma: float) -> np.ndarray:
    """Return a colour of such a profile as sRGB, by the plain arithmetic of IEC 61966-2-1; 0..255, clipped."""
    linear = (np.array(colour) / 255) ** gamma
    wanted = np.linalg.inv(np.array(SRGB).T) @ (np.array(primaries).T @ linear)
    wanted = np.clip(wanted, 0, 1)
    encoded = np.where(wanted <= 0.0031308, 12.92 * wanted, 1.055 * wanted ** (1 / 2.4) - 0.055)
    return np.asarray(encoded * 255)
