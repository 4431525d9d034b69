"""Bands and batches of any size see each window once, as one pass over whole images does."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from facepipe.detectors.sliding_window import slide_window
from facepipe.models.mtcnn_networks import PNet


@pytest.fixture(scope="module")
def network() -> PNet:
    torch.manual_seed(5)
    return PNet().eval()


def images(count: int, height: int, width: int) -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


@torch.inference_mode()
@pytest.mark.parametrize("size", [(12, 12), (13, 40), (57, 30), (64, 31)])
@pytest.mark.parametrize("pixels_at_once", [1, 400, 1000, 2500, 10**6])
def test_bands_equal_one_pass(network: PNet, size: tuple[int, int], pixels_at_once: int) -> None:
    pictures = images(3, *size)
    largest = 0

    def scan(band: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        nonlocal largest
        batch = torch.from_numpy(np.stack(band)).float().sub(127.5).div(128).permute(0, 3, 1, 2)
        largest = max(largest, batch[:, 0].numel())
        score, offsets = network(batch)
        return score, offsets

    whole_scores, whole_offsets = scan(pictures)
    threshold = float(whole_scores.median())  # half of all windows pass
    least_band = 12 * size[1]
    largest = 0
    seen = {}
    for windows in slide_window(
        scan, pictures, window=12, stride=2, threshold=threshold - 1e-5, pixels_at_once=pixels_at_once
    ):
        for image, corner, score, offsets in zip(
            windows.image, windows.corner, windows.score, windows.offsets, strict=True
        ):
            place = (int(image), int(corner[1]) // 2, int(corner[0]) // 2)
            assert place not in seen
            seen[place] = (score, offsets)
    assert largest <= max(pixels_at_once, least_band)
    expected = {tuple(place) for place in torch.nonzero(whole_scores >= threshold).tolist()}
    assert expected <= set(seen)
    for (image, row, column), (score, offsets) in seen.items():
        assert score == pytest.approx(float(whole_scores[image, row, column]), abs=1e-5)
        np.testing.assert_allclose(offsets, whole_offsets[image, :, row, column], atol=1e-5)
        assert score >= threshold - 2e-5
