"""Faceness from integral images equals sums over cells one by one."""

import numpy as np
import pytest

from facepipe.detectors.faceness_score import Arrangement, faceness, integral, log_ratio
from facepipe.models.faceness_networks import PARTS


def share(cell: int, start: float, stop: float) -> float:
    """Return how much of a cell lies between two places."""
    return max(0.0, min(cell + 1, stop) - max(cell, start))


def slow_ratio(
    responses: np.ndarray, region: np.ndarray, width: float, height: float, floor: float, row: int, column: int
) -> float:
    """Return the log ratio of one window, cell by cell."""
    x0, y0, x1, y1 = region * np.array([width, height, width, height]) + np.array([column, row, column, row])
    within = whole = 0.0
    for y in range(responses.shape[0]):
        for x in range(responses.shape[1]):
            within += responses[y, x] * share(x, x0, x1) * share(y, y0, y1)
            whole += responses[y, x] * share(x, column, column + width) * share(y, row, row + height)
    area = (x1 - x0) * (y1 - y0)
    return float(np.log((within / area + floor) / ((whole - within) / (width * height - area) + floor)))


@pytest.mark.parametrize(("width", "height"), [(3.0, 4.0), (4.56, 6.0), (5.4264, 7.14), (8.0, 9.0)])
def test_ratios_equal_sums_over_cells(width: float, height: float) -> None:
    rng = np.random.default_rng(2)
    responses = rng.random((9, 8)).astype(np.float32)
    for region in (np.array([0.1, 0.2, 0.9, 0.5]), np.array([0.0, 0.6, 1.0, 1.0]), np.array([0.3, 0.0, 0.7, 0.4])):
        ratios = log_ratio(integral(responses[None])[0], region, width, height, 0.05)
        assert ratios.shape == (int(9 - height) + 1, int(8 - width) + 1)
        for row, column in np.ndindex(*ratios.shape):
            slow = slow_ratio(responses, region, width, height, 0.05, row, column)
            assert ratios[row, column] == pytest.approx(slow, abs=1e-6)


def arrangement() -> Arrangement:
    tops = np.array([0.0, 0.2, 0.4, 0.6, 0.8])
    regions = np.stack([np.full(5, 0.1), tops, np.full(5, 0.9), tops + 0.2], axis=1)
    return Arrangement(regions, np.array([0.5, 1.5, 1.0, 1.0, 0.7]), -2.0, 0.1)


def drawn(corner: tuple[int, int], height: int, width: int, *, without: tuple[str, ...] = ()) -> np.ndarray:
    """Return responses of a face whose parts fill five bands of cells from a corner on."""
    maps = np.full((5, 24, 24), 0.02, np.float32)
    for part, name in enumerate(PARTS):
        if name not in without:
            top = corner[0] + part * height // 5
            maps[part, top : top + height // 5, corner[1] + 1 : corner[1] + width - 1] = 0.9
    return maps


def test_the_window_on_a_face_has_the_greatest_faceness_and_a_covered_part_costs_only_its_own_share() -> None:
    whole = faceness(drawn((6, 9), 10, 8), arrangement(), 8, 10)
    assert divmod(int(whole.argmax()), whole.shape[1]) == (6, 9)
    covered = faceness(drawn((6, 9), 10, 8, without=("mouth", "beard")), arrangement(), 8, 10)
    assert divmod(int(covered.argmax()), covered.shape[1]) == (6, 9)
    assert whole.max() > covered.max() > np.median(covered) + 2


def test_equal_responses_everywhere_say_nothing_and_small_maps_have_no_windows() -> None:
    flat = faceness(np.full((5, 12, 12), 0.3, np.float32), arrangement(), 4.5, 6)
    np.testing.assert_allclose(flat, -2.0, atol=1e-9)
    assert faceness(np.zeros((5, 5, 12), np.float32), arrangement(), 4.5, 6).shape == (0, 8)
    assert faceness(np.zeros((5, 12, 2), np.float32), arrangement(), 4.5, 6).shape == (7, 0)


def test_an_arrangement_is_stored_as_tensors() -> None:
    again = Arrangement.from_tensors(arrangement().tensors())
    np.testing.assert_allclose(again.regions, arrangement().regions, atol=1e-6)
    np.testing.assert_allclose(again.weights, arrangement().weights, atol=1e-6)
    assert (again.bias, again.floor) == pytest.approx((-2.0, 0.1))
