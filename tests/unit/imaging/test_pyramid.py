import numpy as np
import pytest

from facepipe.imaging.pyramid import Octaves, pyramid_scales


def slow_scales(width: int, height: int, window: int, min_face: float, factor: float) -> list[float]:
    scales, scale = [], window / min_face
    while min(width, height) * scale >= window - 1e-9:
        scales.append(scale)
        scale *= factor
    return scales


@pytest.mark.parametrize("size", [(640, 480), (20, 20), (250, 250), (4000, 33), (2048, 1536)])
@pytest.mark.parametrize("factor", [0.5, 0.709, 0.9])
@pytest.mark.parametrize("min_face", [12.0, 20.0, 33.3])
def test_scales_equal_their_slow_twin(size: tuple[int, int], factor: float, min_face: float) -> None:
    expected = slow_scales(*size, 12, min_face, factor)
    assert pyramid_scales(*size, window=12, min_face=min_face, factor=factor) == pytest.approx(expected)


def test_a_photo_smaller_than_the_least_face_has_no_scales() -> None:
    assert pyramid_scales(100, 19, window=12, min_face=20, factor=0.7) == []
    assert pyramid_scales(100, 0, window=12, min_face=20, factor=0.7) == []


def test_a_photo_just_as_large_as_the_least_face_has_one() -> None:
    assert pyramid_scales(20, 30, window=12, min_face=20, factor=0.7) == pytest.approx([0.6])


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("scale", "side"),
    [(1.0, 1), (0.7, 1), (0.5001, 1), (0.5, 2), (0.3, 2), (0.25, 4), (0.1, 8), (1e-9, 32), (2.0, 1)],
)
def test_the_nearest_octave_is_at_least_as_large_as_asked(scale: float, side: int) -> None:
    octave, pixel = Octaves(noise(63, 41)).nearest(scale)
    assert pixel == side
    assert octave.shape[:2] == (63 // side, 41 // side)


def test_an_octave_is_the_mean_of_the_pixels_below() -> None:
    photo = noise(9, 13)
    half, _ = Octaves(photo).nearest(0.5)
    means = [[photo[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean(axis=(0, 1)) for x in range(6)] for y in range(4)]
    np.testing.assert_allclose(half, means, atol=1)


def area_shares(pixels: int, resized: int) -> np.ndarray:
    """Return how much (resized, pixels) each pixel weighs in the mean over each resized pixel's area."""
    edges = np.linspace(0, pixels, resized + 1)
    before, after = np.arange(pixels), np.arange(1, pixels + 1)
    shared = np.minimum(edges[1:, None], after) - np.maximum(edges[:-1, None], before)
    shares: np.ndarray = np.maximum(shared, 0) * resized / pixels
    return shares


@pytest.mark.parametrize(("scale", "tolerance"), [(1.0, 0), (0.6, 1), (0.3, 1), (0.25, 1), (0.1, 12)])
def test_a_resized_photo_is_the_mean_of_areas(scale: float, tolerance: float) -> None:
    photo = noise(320, 240)
    resized, pixel = Octaves(photo).resized(scale)
    height, width = resized.shape[:2]
    assert (height, width) == (np.ceil(320 * scale), np.ceil(240 * scale))
    assert (pixel[0] * width, pixel[1] * height) == pytest.approx((240, 320))
    rows = np.tensordot(area_shares(320, height), photo, axes=1)  # (height, 240, 3)
    expected = np.tensordot(area_shares(240, width), rows, axes=(1, 1)).swapaxes(0, 1)
    assert np.abs(resized - expected).max() <= tolerance + 0.51  # the last starts from an octave whose pixels it splits


@pytest.mark.parametrize("scale", [1.5, 2.0, 3.3])
def test_an_enlarged_photo_lies_between_its_pixels(scale: float) -> None:
    ramp = np.repeat(np.arange(0, 200, 5, dtype=np.uint8)[None, :, None], 30, axis=0).repeat(3, axis=2)  # 40 wide
    enlarged, pixel = Octaves(ramp).resized(scale)
    height, width = enlarged.shape[:2]
    assert (height, width) == (np.ceil(30 * scale), np.ceil(40 * scale))
    assert (pixel[0] * width, pixel[1] * height) == pytest.approx((40, 30))
    middles = (np.arange(width) + 0.5) * pixel[0] - 0.5  # of its pixels, in the photo's
    expected = np.clip(middles, 0, 39) * 5
    assert np.abs(enlarged[0, :, 0] - expected).max() <= 1


def test_a_photo_at_full_scale_is_not_copied() -> None:
    photo = noise(20, 20)
    assert Octaves(photo).resized(1.0)[0] is photo


def test_a_crop_of_its_own_size_is_cut_out() -> None:
    photo = noise(80, 90)
    np.testing.assert_array_equal(Octaves(photo).crop(np.array([10.0, 20, 34, 44]), 24), photo[20:44, 10:34])


def test_a_crop_past_the_edge_is_black_there() -> None:
    photo = np.full((80, 90, 3), 200, dtype=np.uint8)
    crop = Octaves(photo).crop(np.array([-12.0, 68, 12, 92]), 24)
    assert (crop[:12, 12:] == 200).all()
    assert (crop[12:] == 0).all()
    assert (crop[:, :12] == 0).all()


@pytest.mark.parametrize("box", [(200, 200, 224, 224), (-90, 5, -50, 45), (5, -90, 45, -50), (-500, 300, 1500, 2300)])
def test_a_crop_beside_the_photo_is_black(box: tuple[float, ...]) -> None:
    crop = Octaves(np.full((80, 90, 3), 200, dtype=np.uint8)).crop(np.array(box), 24)
    assert crop.shape == (24, 24, 3)
    assert crop.max() == 0


def test_a_crop_of_a_large_box_shows_the_same_as_one_of_a_shrunken_photo() -> None:
    y, x = np.mgrid[0:800, 0:800]
    photo = np.stack([x / 4, y / 4, (x + y) / 8], axis=2).astype(np.uint8)
    crop = Octaves(photo).crop(np.array([96.0, 160, 672, 736]), 24)
    expected = photo[160:736, 96:672].reshape(24, 24, 24, 24, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(crop, expected, atol=1.5)


@pytest.mark.parametrize("size", [0.2, 3.0])
def test_a_tiny_box_is_enlarged(size: float) -> None:
    photo = noise(40, 40)
    crop = Octaves(photo).crop(np.array([7.4, 9.4, 7.4 + size, 9.4 + size]), 24)
    assert crop.shape == (24, 24, 3)
    assert np.abs(crop[0, 0].astype(int) - photo[9, 7]).max() <= 1
