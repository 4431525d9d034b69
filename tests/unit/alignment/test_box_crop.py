import io

import numpy as np
import pytest
from PIL import Image

from facepipe.alignment.box_crop import crop_faces, display_crop


def gradient(height: int = 120, width: int = 160) -> np.ndarray:
    """An image whose red is x, green is y, blue is (x + y) / 2, at pixel centres."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    return np.stack([x, y, (x + y) / 2], axis=2).round().astype(np.uint8)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def slow_crop(image: np.ndarray, box: list[float], size: int) -> np.ndarray:
    """Each pixel is the mean of the photo under a triangle as wide as two target pixels, at least two photo pixels."""
    rows, columns = (
        _weights(box[1], box[3], size, image.shape[0]),
        _weights(box[0], box[2], size, image.shape[1]),
    )
    crop: np.ndarray = np.einsum("sy,yxc,tx->stc", rows, image.astype(np.float64), columns)
    return crop


def _weights(start: float, stop: float, size: int, length: int) -> np.ndarray:
    scale = (stop - start) / size
    width = max(1.0, scale)
    weights = np.zeros((size, length))
    for target in range(size):
        centre = start + (target + 0.5) * scale
        for pixel in range(-200, length + 200):
            weight = max(0.0, 1 - abs(pixel + 0.5 - centre) / width)
            weights[target, min(max(pixel, 0), length - 1)] += weight  # the edge is repeated
        weights[target] /= weights[target].sum()
    return weights


@pytest.mark.parametrize("box", [[40, 30, 120, 90], [40.25, 30.5, 99.75, 90.125], [10, 10, 150, 110]])
@pytest.mark.parametrize("size", [16, 40, 160])
def test_a_linear_gradient_is_reproduced(box: list[float], size: int) -> None:
    crop = crop_faces(gradient(), np.array([box]), size, grow=(0, 0))[0].astype(float)
    at = (np.arange(size) + 0.5) / size
    x, y = box[0] + at * (box[2] - box[0]), box[1] + at * (box[3] - box[1])
    assert np.abs(crop[:, :, 0] - x[None, :]).max() <= 1.01
    assert np.abs(crop[:, :, 1] - y[:, None]).max() <= 1.01


@pytest.mark.parametrize("box", [[5, 4, 21, 24], [-6.5, -3, 20, 50.5], [8.25, 9.5, 16.5, 13.75], [-30, 10, -10, 20]])
def test_a_crop_equals_its_slow_twin_also_beyond_the_edges(box: list[float]) -> None:
    image = noise(30, 40)
    crop = crop_faces(image, np.array([box]), 12, grow=(0, 0))[0]
    assert np.abs(crop - slow_crop(image, box, 12)).max() <= 1.6


def test_growth_is_relative_to_each_side_of_the_box() -> None:
    image = gradient()
    grown = crop_faces(image, np.array([[60.0, 40.0, 100.0, 60.0]]), 32, grow=(0.25, 0.5))
    assert (grown == crop_faces(image, np.array([[50.0, 30.0, 110.0, 70.0]]), 32, grow=(0, 0))).all()


def test_one_resampling_equals_the_two_of_the_networks_training() -> None:
    # The box grown by 16 px a side, stretched to 182 px, the central 160: on LFW's typical box a growth by shares.
    box = np.array([[80.0, 70.0, 80.0 + 88, 70.0 + 115]])
    grow_x, grow_y = (((side + 32) * 160 / 182 / side - 1) / 2 for side in (88, 115))
    assert (grow_x, grow_y) == pytest.approx((0.10, 0.062), abs=1e-3)
    image = gradient(250, 250)
    grown = Image.fromarray(image).resize((182, 182), Image.Resampling.BILINEAR, box=(64, 54, 184, 201))
    crop = crop_faces(image, box, grow=(grow_x, grow_y))[0]
    assert np.abs(np.asarray(grown)[11:171, 11:171].astype(int) - crop).max() <= 1


def test_each_face_is_cropped_alone_and_in_order() -> None:
    image = noise(60, 80)
    boxes = np.array([[5, 5, 30, 40], [40, 10, 70, 50], [-5, 30, 20, 70]], np.float32)
    together = crop_faces(image, boxes, 24)
    assert together.shape == (3, 24, 24, 3)
    assert together.dtype == np.uint8
    assert all((together[i] == crop_faces(image, boxes[i : i + 1], 24)[0]).all() for i in range(3))


def test_no_faces_and_read_only_photos() -> None:
    image = noise(20, 20)
    image.flags.writeable = False
    assert crop_faces(image, np.zeros((0, 4), np.float32)).shape == (0, 160, 160, 3)
    assert crop_faces(image, np.array([[2, 2, 9, 9]], np.float32), 8).shape == (1, 8, 8, 3)
    assert crop_faces(np.zeros((0, 0, 3), np.uint8), np.zeros((0, 4))).shape == (0, 160, 160, 3)


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [9, 5, 5, 9], [5, 5, np.nan, 9], [0, 0, np.inf, 9]])
def test_a_box_without_area_is_refused(box: list[float]) -> None:
    with pytest.raises(ValueError, match="finite and not empty"):
        crop_faces(noise(20, 20), np.array([box]))
    with pytest.raises(ValueError, match="finite and not empty"):
        display_crop(noise(20, 20), np.array(box))


def thumbnail(image: np.ndarray, box: list[float], max_side: int = 160) -> Image.Image:
    picture = Image.open(io.BytesIO(display_crop(image, np.array(box), max_side)))
    assert picture.format == "JPEG"
    return picture


def test_a_thumbnail_shows_the_surroundings_and_is_never_enlarged() -> None:
    assert thumbnail(gradient(), [70, 50, 90, 75]).size == (40, 40)  # 25 px and 0.3 of that on each side
    assert thumbnail(gradient(600, 800), [100, 100, 500, 500]).size == (160, 160)
    assert thumbnail(gradient(600, 800), [100, 100, 500, 500], max_side=64).size == (64, 64)


@pytest.mark.parametrize(
    ("box", "corner"), [([0, 0, 20, 20], (0, 0)), ([150, 110, 160, 120], (144, 104)), ([-9, 50, 11, 70], (0, 44))]
)
def test_a_thumbnail_stays_inside_the_photo(box: list[float], corner: tuple[int, int]) -> None:
    pixels = np.asarray(thumbnail(gradient(), box)).astype(int)
    assert np.abs(pixels[0, 0, :2] - corner).max() <= 4


def test_a_face_as_large_as_the_photo_gives_the_largest_square() -> None:
    assert thumbnail(gradient(60, 90), [0, 0, 90, 60]).size == (60, 60)
    assert thumbnail(noise(1, 1), [0, 0, 1, 1]).size == (1, 1)
