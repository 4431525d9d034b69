import io
import itertools
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from facepipe.duplicates.comparing import LEAST_SIDE, WINDOW, _motion, compare_photos
from tests.drawn_photos import draw_scene

Pixels = npt.NDArray[np.uint8]
SEEDS = (3, 4, 5)


def encoded(pixels: Pixels, image_format: str = "JPEG", **options: object) -> Pixels:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, image_format, **options)
    return np.asarray(Image.open(sink).convert("RGB"))


def resized(pixels: Pixels, scale: float, kernel: Image.Resampling = Image.Resampling.LANCZOS) -> Pixels:
    size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
    return np.asarray(Image.fromarray(pixels).resize(size, kernel))


COPIES: dict[str, Callable[[Pixels], Pixels]] = {
    "half": lambda pixels: encoded(resized(pixels, 0.5), quality=85),
    "third, bilinear": lambda pixels: encoded(resized(pixels, 0.33, Image.Resampling.BILINEAR), quality=75),
    "enlarged": lambda pixels: encoded(resized(pixels, 1.7, Image.Resampling.BICUBIC), quality=90),
    "quality 25": lambda pixels: encoded(pixels, quality=25),
    "gif": lambda pixels: encoded(pixels, "GIF"),
    "webp": lambda pixels: encoded(pixels, "WEBP", quality=40),
    "twice": lambda pixels: encoded(resized(encoded(resized(pixels, 0.6), quality=60), 1.5), quality=60),
}


def moved(pixels: Pixels, matrix: npt.NDArray[np.float32]) -> Pixels:
    size = pixels.shape[1], pixels.shape[0]
    return np.asarray(cv2.warpAffine(pixels, matrix, size, borderMode=cv2.BORDER_REFLECT))


def shifted(pixels: Pixels, x: float, y: float) -> Pixels:
    return moved(pixels, np.array([[1, 0, x], [0, 1, y]], np.float32))


def turned(pixels: Pixels, degrees: float, scale: float) -> Pixels:
    centre = pixels.shape[1] / 2, pixels.shape[0] / 2
    return moved(pixels, np.asarray(cv2.getRotationMatrix2D(centre, degrees, scale), np.float32))


def closed(pixels: Pixels, x: int = 100, y: int = 80) -> Pixels:
    """A small dark spot closes, as an eye does: 14 x 8 px."""
    changed = pixels.copy()
    changed[y : y + 8, x : x + 14] = np.median(changed[y - 6 : y + 14, x - 6 : x + 20].reshape(-1, 3), axis=0)
    return changed


def with_spot(pixels: Pixels, x: int = 100, y: int = 80) -> Pixels:
    marked = pixels.copy()
    cv2.ellipse(marked, (x + 7, y + 4), (6, 3), 0, 0, 360, (25, 20, 15), -1, cv2.LINE_AA)
    cv2.ellipse(marked, (x + 5, y + 3), (1, 1), 0, 0, 360, (250, 250, 250), -1, cv2.LINE_AA)
    return marked


OTHERS: dict[str, Callable[[Pixels], Pixels]] = {
    "a blink": closed,
    "shifted by 0.8 px": lambda pixels: shifted(pixels, 0.8, -0.3),
    "shifted by 3 px": lambda pixels: shifted(pixels, 3, 1),
    "turned by a degree": lambda pixels: turned(pixels, 1, 1),
    "nearer by 2 %": lambda pixels: turned(pixels, 0, 1.02),
    "black and white": lambda pixels: np.asarray(Image.fromarray(pixels).convert("L").convert("RGB")),
    "brighter": lambda pixels: np.clip(pixels.astype(np.int32) + 40, 0, 255).astype(np.uint8),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("edit", COPIES)
def test_copies_are_alike(edit: str, seed: int) -> None:
    photo = with_spot(draw_scene(seed))
    same_pixels, difference = compare_photos(photo, COPIES[edit](photo))
    assert not same_pixels
    assert 0 < difference <= 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("change", OTHERS)
def test_photos_of_one_scene_are_not(change: str, seed: int) -> None:
    photo = with_spot(draw_scene(seed))
    assert compare_photos(photo, encoded(OTHERS[change](photo), quality=90)).difference > 1


def test_copies_of_a_photo_are_copies_of_one_another() -> None:
    photo = draw_scene(6)
    copies = [make(photo) for make in COPIES.values()]
    assert all(compare_photos(first, second).difference <= 1 for first, second in itertools.combinations(copies, 2))


@pytest.mark.parametrize("change", [*COPIES, *OTHERS])
def test_the_order_makes_no_difference(change: str) -> None:
    photo = with_spot(draw_scene(7))
    other = (COPIES | OTHERS)[change](photo)
    assert compare_photos(photo, other) == compare_photos(other, photo)


def test_the_same_pixels_are_the_same() -> None:
    photo = draw_scene(8)
    assert compare_photos(photo, photo.copy()) == (True, 0.0)


def test_one_changed_pixel_is_no_longer_the_same() -> None:
    photo, other = draw_scene(8), draw_scene(8)
    other[100, 100] ^= 1
    same_pixels, difference = compare_photos(photo, other)
    assert not same_pixels
    assert difference < 0.1


def test_other_proportions_are_another_photo() -> None:
    photo = draw_scene(9)
    assert compare_photos(photo, np.ascontiguousarray(photo[:, :300])).difference == float("inf")


def test_rounded_sides_are_no_other_proportions() -> None:
    photo = draw_scene(9, width=333, height=250)
    for size in ((62, 47), (62, 46), (63, 47)):
        small = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))
        assert compare_photos(photo, small).difference <= 1


def test_where_there_is_too_little_to_see_nothing_is_a_copy() -> None:
    small = resized(draw_scene(10), (LEAST_SIDE - 2) / 240)
    assert compare_photos(draw_scene(10), small).difference == float("inf")
    rng = np.random.default_rng(10)
    dark, darker = (rng.integers(0, 4, (240, 320, 3), dtype=np.uint8) for _ in range(2))
    assert compare_photos(dark, darker).difference == float("inf")


def test_motion_is_that_of_a_least_squares_fit_in_each_window() -> None:
    rng = np.random.default_rng(11)
    mean = cv2.GaussianBlur(rng.normal(0, 60, (80, 90)).astype(np.float32), (0, 0), 2)
    change = cv2.GaussianBlur(rng.normal(0, 6, (80, 90)).astype(np.float32), (0, 0), 2)
    found = _motion(mean, change)
    gx = cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=1 / 8)
    for y, x in ((40, 45), (33, 50), (47, 40)):
        window = slice(y - WINDOW // 2, y + WINDOW // 2), slice(x - WINDOW // 2, x + WINDOW // 2)
        edges = np.stack([gx[window].ravel(), gy[window].ravel()], axis=1).astype(np.float64)
        damped = edges.T @ edges / len(edges) + 8.0 * np.eye(2)
        expected = np.linalg.solve(damped, edges.T @ change[window].ravel() / len(edges))
        assert found[y, x] == pytest.approx(np.hypot(*expected), rel=1e-3)


def test_a_known_shift_is_measured() -> None:
    rough = np.random.default_rng(12).normal(0, 200, (240, 320)).astype(np.float32)
    smooth = cv2.GaussianBlur(rough, (0, 0), 2)  # edges everywhere, so that damping counts for little
    matrix = np.array([[1, 0, 0.5], [0, 1, 0]], np.float32)
    later = cv2.warpAffine(smooth, matrix, (320, 240), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    assert np.quantile(_motion((smooth + later) / 2, smooth - later), 0.9) == pytest.approx(0.5, abs=0.12)
