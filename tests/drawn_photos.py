"""Drawn scenes with the textures and edges of photos, for tests that need pixels and no faces."""

import cv2
import numpy as np
import numpy.typing as npt


def draw_scene(seed: int, width: int = 320, height: int = 240) -> npt.NDArray[np.uint8]:
    """Return (height, width, 3) uint8: soft clouds of colour with a few sharp shapes, and sensor noise."""
    rng = np.random.default_rng(seed)
    scene = np.zeros((height, width, 3), np.float32)
    for cells in (3, 6, 12, 40):
        clouds = rng.normal(0, 60 / cells**0.5, (cells, cells, 3)).astype(np.float32)
        scene += cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)
    drawn = np.clip(scene + 120, 0, 255).astype(np.uint8)
    for _ in range(6):
        centre = int(rng.integers(width)), int(rng.integers(height))
        axes = int(rng.integers(8, width // 5)), int(rng.integers(8, height // 5))
        colour = [int(part) for part in rng.integers(20, 235, 3)]
        cv2.ellipse(drawn, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    noisy = drawn + rng.normal(0, 2, drawn.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)
