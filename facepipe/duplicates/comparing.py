"""Whether two photos show the same pixels, but for size and compression: what a hash can only suggest.

Photos of a burst, or of one scene, have near hashes too, and are no copies. What tells them apart is where they differ:
compression and resampling leave small differences all over the photo; a hand that holds a camera moves all edges; a
blink changes one place and nothing else.
"""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

COMPARED_SIDE = 1024  # px; photos are compared at the size of the smaller one, and no larger than that
LEAST_SIDE = 32  # px; in a smaller picture a copy looks like any photo of the same scene
LEAST_DETAIL = 1.0  # grey levels; a photo of nothing looks like any other photo of nothing

# Each limit lies between copies, made of 93 photos of lfw-dev, wider-dev and the album (docs/duplicates.md), and
# photos that were shifted, turned, warped or changed in one place.
MOST_MOTION = 0.35  # px that nine tenths of the photo lie apart at most
MOST_LOCAL_MOTION = 0.75  # px that any place lies apart
MOST_CHANGE = 28.0  # grey levels that any place differs by
MOST_OUTSTANDING_CHANGE = 7.0  # the same, as a multiple of what places differ by on the whole (plus NOISE)
MOST_COLOUR_CHANGE = 4.0  # levels of Cb and Cr, on average

PALETTE_COLOURS = 256
PALETTE_ALLOWANCE = 1.5  # times the limits: a palette moves colours, and its dithering edges, more than compression

PLACE = 6  # px; the mean over so many hardly changes with compression
WINDOW = 32  # px, within which displacement is measured
NOISE = 2.0  # grey levels
_DAMPING = 8.0  # squared grey levels a px: windows with weaker edges show less motion than there may be


class Alike(NamedTuple):
    """How two photos compare.

    Attributes:
        same_pixels: they have the same size and the same pixels.
        difference: 0 for none, 1 the most that a copy may differ, beyond 1 for other photos; infinite where the photos
            have other proportions or show too little to tell.
    """

    same_pixels: bool
    difference: float


def compare_photos(first: Pixels, second: Pixels) -> Alike:
    """Return how two photos compare; in which order they come makes no difference.

    Args:
        first: (H, W, 3) uint8 RGB, upright.
        second: likewise, perhaps of another size.
    """
    if first.shape == second.shape and np.array_equal(first, second):
        return Alike(True, 0.0)
    if first.shape != second.shape and not _same_proportions(first, second):
        return Alike(False, float("inf"))
    small = min(first, second, key=lambda pixels: (pixels.size, pixels.shape))
    scale = min(1.0, COMPARED_SIDE / max(small.shape[:2]))
    size = round(small.shape[1] * scale), round(small.shape[0] * scale)
    if min(size) < LEAST_SIDE:
        return Alike(False, float("inf"))
    allowance = PALETTE_ALLOWANCE if _has_palette(first) or _has_palette(second) else 1.0
    return Alike(False, _difference(_at_size(first, size), _at_size(second, size)) / allowance)


def _same_proportions(first: Pixels, second: Pixels) -> bool:
    """Return whether one could be the other resized, its sides being rounded by less than a pixel."""
    (large_h, large_w), (small_h, small_w) = sorted((first.shape[:2], second.shape[:2]), reverse=True)
    width, height = large_w * small_h / large_h, large_h * small_w / large_w  # of the small one, if they agree
    return bool(abs(height - small_h) <= 1 or abs(width - small_w) <= 1)


def _has_palette(pixels: Pixels) -> bool:
    """Return whether a photo (H, W, 3) has as few colours as a GIF; none has after it was resized."""
    return all(_colours(part) <= PALETTE_COLOURS for part in (pixels[::16, ::16], pixels))  # most have more at once


def _colours(pixels: Pixels) -> int:
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)  # (H, W)
    return len(np.unique(packed))


def _at_size(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return brightness and colour (Y, Cr, Cb) at a size (width, height) no larger than the photo's."""
    if (pixels.shape[1], pixels.shape[0]) != size:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb))


def _difference(first: Pixels, second: Pixels) -> float:
    """Return the largest share that any measure takes of its limit, for two photos (h, w, 3) of one size."""
    change = first.astype(np.float32) - second.astype(np.float32)  # (h, w, 3)
    mean = (first[..., 0].astype(np.float32) + second[..., 0]) / 2  # (h, w)
    smooth = cv2.GaussianBlur(mean, (0, 0), 1)  # what compression adds is finer than that
    if float(np.std(smooth - cv2.GaussianBlur(smooth, (0, 0), 8))) < LEAST_DETAIL:
        return float("inf")
    motion = _motion(smooth, cv2.GaussianBlur(change[..., 0], (0, 0), 1))
    place = np.abs(cv2.blur(change[..., 0], (PLACE, PLACE)))
    outstanding = place.max() / (NOISE + np.sqrt(np.mean(place * place)))
    colour = np.abs(cv2.blur(change[..., 1:], (16, 16))).mean()
    shares = (
        np.quantile(motion[::4, ::4], 0.9) / MOST_MOTION,
        motion.max() / MOST_LOCAL_MOTION,
        place.max() / MOST_CHANGE,
        outstanding / MOST_OUTSTANDING_CHANGE,
        colour / MOST_COLOUR_CHANGE,
    )
    return float(max(shares))


def _motion(mean: Floats, change: Floats) -> Floats:
    """Return how far one picture must be moved around each point to become the other, (h, w) in pixels.

    Least squares over a window around the point of change = gx * u + gy * v (Lucas and Kanade 1981, "An iterative
    image registration technique", one step without iteration), damped where there are no edges.

    Args:
        mean: (h, w) grey levels, the mean of the two.
        change: (h, w), their difference.
    """
    gx = cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=1 / 8)
    xx, yy, xy, xd, yd = (
        cv2.blur(product, (WINDOW, WINDOW)) for product in (gx * gx, gy * gy, gx * gy, gx * change, gy * change)
    )
    xx, yy = xx + _DAMPING, yy + _DAMPING
    determinant = xx * yy - xy * xy  # at least _DAMPING squared
    u, v = (yy * xd - xy * yd) / determinant, (xx * yd - xy * xd) / determinant
    return np.asarray(np.hypot(u, v), np.float32)
