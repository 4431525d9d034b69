import numpy as np
import pytest
from skimage.feature import hog

from facepipe.detectors.hog.descriptor import (
    BLOCK_LENGTH,
    CLIPPED_AT,
    DIRECTIONS,
    LEAST_NORM,
    SIGNED_DIRECTIONS,
    cell_histograms,
    normalised_blocks,
)


@pytest.fixture(params=[(64, 48), (61, 50)], ids=str)
def grey(request: pytest.FixtureRequest) -> np.ndarray:
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[: request.param[0], : request.param[1]]
    waves = 60 * np.sin(columns / 7 + rows / 11) + 50 * np.cos(rows / 5)
    picture: np.ndarray = (127 + waves + rng.integers(-10, 10, request.param)).astype(np.uint8)
    return picture


def of_scikit_image(grey: np.ndarray, cell: int, block: int, norm: str) -> np.ndarray:
    values: np.ndarray = hog(
        grey, DIRECTIONS, (cell, cell), (block, block), norm, transform_sqrt=True, feature_vector=False
    )
    return values


@pytest.mark.parametrize("cell", [4, 6])
def test_votes_for_one_direction_are_those_of_scikit_image(grey: np.ndarray, cell: int) -> None:
    # L1 over one cell divides by its sum, which is why sums are taken out of ours as well.
    ours = cell_histograms(grey, cell, shared=False)
    theirs = of_scikit_image(grey, cell, 1, "L1")[:, :, 0, 0]
    assert ours.shape == theirs.shape
    assert np.abs(ours / (ours.sum(axis=2, keepdims=True) + 1e-5) - theirs).mean() < 2e-3  # angles to 0.1 degree


@pytest.mark.parametrize("cell", [4, 6])
def test_blocks_are_those_of_scikit_image(grey: np.ndarray, cell: int) -> None:
    ours = normalised_blocks(cell_histograms(grey, cell, shared=False))
    theirs = of_scikit_image(grey, cell, 2, "L2-Hys")
    assert np.abs(ours - theirs.reshape(*theirs.shape[:2], -1)).mean() < 2e-3


@pytest.mark.parametrize("signed", [False, True])
def test_shared_votes_pixel_by_pixel(grey: np.ndarray, signed: bool) -> None:
    cell, directions = 5, SIGNED_DIRECTIONS if signed else DIRECTIONS
    root = np.sqrt(grey.astype(np.float64))
    slow = np.zeros((grey.shape[0] // cell, grey.shape[1] // cell, directions))
    for row in range(slow.shape[0] * cell):
        for column in range(slow.shape[1] * cell):
            down = root[row + 1, column] - root[row - 1, column] if 0 < row < grey.shape[0] - 1 else 0
            right = root[row, column + 1] - root[row, column - 1] if 0 < column < grey.shape[1] - 1 else 0
            place = np.degrees(np.arctan2(down, right)) % (20 * directions) / 20 - 0.5
            for direction in (int(np.floor(place)), int(np.floor(place)) + 1):
                vote = np.hypot(down, right) * (1 - abs(place - direction))
                slow[row // cell, column // cell, direction % directions] += vote / cell**2
    assert np.allclose(cell_histograms(grey, cell, signed=signed), slow, atol=2e-2)


def test_a_direction_of_exactly_a_full_turn_is_the_first() -> None:
    rising = np.tile(np.arange(0, 240, 12, dtype=np.uint8), (20, 1))  # brighter to the right, by no angle at all
    histogram = cell_histograms(rising, 4, shared=False, signed=True)
    assert (histogram[1:-1, 1:-1].argmax(axis=2) == 0).all()
    falling = cell_histograms(np.ascontiguousarray(rising[:, ::-1]), 4, shared=False, signed=True)
    assert (falling[1:-1, 1:-1].argmax(axis=2) == DIRECTIONS).all()


def test_blocks_one_by_one(grey: np.ndarray) -> None:
    cells = cell_histograms(grey, 5, signed=True)
    blocks = normalised_blocks(cells)
    assert blocks.shape == (cells.shape[0] - 1, cells.shape[1] - 1, 4 * SIGNED_DIRECTIONS)
    for row in range(blocks.shape[0]):
        for column in range(blocks.shape[1]):
            slow = cells[row : row + 2, column : column + 2].ravel().astype(np.float64)
            slow = np.minimum(slow / np.sqrt((slow**2).sum() + LEAST_NORM**2), CLIPPED_AT)
            slow /= np.sqrt((slow**2).sum() + LEAST_NORM**2)
            assert np.allclose(blocks[row, column], slow, atol=1e-5)


def test_sizes_and_flat_pictures() -> None:
    assert cell_histograms(np.zeros((3, 30), np.uint8), 4).shape == (0, 7, DIRECTIONS)
    assert normalised_blocks(np.zeros((1, 7, DIRECTIONS), np.float32)).shape == (0, 6, BLOCK_LENGTH)
    flat = normalised_blocks(cell_histograms(np.full((40, 40), 200, np.uint8), 4))
    assert flat.shape == (9, 9, BLOCK_LENGTH)
    assert not flat.any()
