"""A face with what is around it becomes a crop to learn from: shifted, mirrored, worn like an old print.

Wide crops are boxes grown by half their size on each side and stretched to a square, so that a network's crop, a little
shifted and scaled, can still be cut from them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Crop = npt.NDArray[np.uint8]

WIDE_GROW = (0.5, 0.5)  # share of the box's width and of its height added on each side
MOST_QUALITY = 95  # of JPEG
WIDE_SIZE = 256  # pixels a side; the box itself takes the central half


@dataclass(frozen=True)
class Wear:
    """What an archive does to its photos; each is done where it is asked for.

    Attributes:
        grey: colours are lost.
        height: of the face, in pixels, to which the photo is shrunk; None: it keeps its size.
        quality: JPEG's, 1 to 95; None: it isn't compressed.
    """

    grey: bool = False
    height: float | None = None
    quality: int | None = None

    @property
    def does_nothing(self) -> bool:
        """Whether photos stay as they are."""
        return not self.grey and self.height is None and self.quality is None


@dataclass(frozen=True)
class CropVariation:
    """How crops are varied.

    Attributes:
        mirror: probability of being mirrored, 0 to 1.
        shift: greatest shift, as a share of the box's side, either way; 0: none.
        scale: greatest growth or shrinking, as a share, of each side; 0: none.
        light: greatest change of contrast, as a share; brightness and colours change with it; 0: none.
        wear: what is done to worn crops.
        worn: share of crops that are worn, 0 to 1.
    """

    mirror: float = 0.5
    shift: float = 0.04
    scale: float = 0.06
    light: float = 0.2
    wear: Wear = Wear()
    worn: float = 0.75


def cut_crop(
    wide: Crop, size: int, grow: tuple[float, float], rng: np.random.Generator | None, variation: CropVariation
) -> Crop:
    """Return a network's crop, (S, S, 3) uint8 RGB, varied at random.

    Args:
        wide: (256, 256, 3) uint8 RGB, a box grown by WIDE_GROW.
        size: S.
        grow: share of the box's width and height that the network's crop adds on each side.
        rng: None: the crop as it is, neither shifted nor mirrored.
        variation: see there; wear is laid on before, by `wear_out`.
    """
    box = WIDE_SIZE / (1 + 2 * np.array(WIDE_GROW))  # (2,) width and height of the box, in the wide crop's pixels
    extent, centre = box * (1 + 2 * np.array(grow)), np.full(2, WIDE_SIZE / 2)
    if rng is not None:
        extent = extent * rng.uniform(1 - variation.scale, 1 + variation.scale, 2)
        centre = centre + box * rng.uniform(-variation.shift, variation.shift, 2)
    scale = extent / size
    start = centre - extent / 2 + (scale - 1) / 2  # centres of pixels lie at halves
    matrix = np.array([[scale[0], 0, start[0]], [0, scale[1], start[1]]], np.float32)
    source = wide if scale.max() <= 1.5 else cv2.GaussianBlur(wide, (0, 0), 0.4 * float(scale.max()))  # antialiased
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(source, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if rng is not None and rng.random() < variation.mirror:
        crop = np.ascontiguousarray(crop[:, ::-1])
    if rng is not None and variation.light:
        crop = _relight(crop, variation.light, rng)
    return np.ascontiguousarray(crop, np.uint8)


def _relight(crop: Crop, strength: float, rng: np.random.Generator) -> Crop:
    """Return a crop of another contrast, brightness and, a little, colour: a straight line for each channel."""
    contrast = rng.uniform(1 - strength, 1 + strength)
    offset = 127 * strength * (rng.uniform(-1, 1) + rng.uniform(-0.2, 0.2, 3)) - 127 * (contrast - 1)  # (3,)
    table = np.clip(np.arange(256)[:, None] * contrast + offset, 0, 255).astype(np.uint8)  # (256, 3)
    return np.asarray(cv2.LUT(crop, table[None]), np.uint8)


def wear_out(wide: Crop, aspect: float, wear: Wear, rng: np.random.Generator | None = None) -> Crop:
    """Return a wide crop (256, 256, 3) uint8 RGB as an archive would have kept it.

    Args:
        wide: uint8 RGB, likewise.
        aspect: width of the face's box over its height, in the photo.
        wear: what is done.
        rng: varies height and quality by a quarter around those asked for; None: it is just those.
    """
    height = wear.height if rng is None or wear.height is None else wear.height * rng.uniform(0.8, 1.25)
    quality = wear.quality if rng is None or wear.quality is None else wear.quality * rng.uniform(0.8, 1.25)
    worn: Crop = wide
    if height is not None:
        extents = height * aspect * (1 + 2 * WIDE_GROW[0]), height * (1 + 2 * WIDE_GROW[1])
        columns, rows = (min(max(1, round(extent)), WIDE_SIZE) for extent in extents)  # never enlarged
        worn = cv2.resize(worn, (columns, rows), interpolation=cv2.INTER_AREA)
    if wear.grey:
        worn = np.repeat(cv2.cvtColor(worn, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    if quality is not None:
        kept = min(max(1, round(quality)), MOST_QUALITY)
        _, file = cv2.imencode(".jpg", worn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, kept])
        worn = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1]
    if worn.shape != wide.shape:
        worn = cv2.resize(np.ascontiguousarray(worn), wide.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(worn, np.uint8)
