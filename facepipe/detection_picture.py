"""The faces on one photo, and a picture of how a detector comes to them, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from facepipe.config import Config
from facepipe.detectors.detector import Detections, Step
from facepipe.errors import PhotoError, WrongUsageError
from facepipe.imaging.decode import decode_photo
from facepipe.stages.detect_faces import load_detector

PANEL_WIDTH = 480  # pixels
COLUMNS = 2
SMOOTH_UP_TO = 2.5  # factor; maps of few cells are shown as they are
TITLE_HEIGHT = 24
GAP = 8
BOX, POINT, INK, PAPER = (255, 64, 64), (64, 220, 255), (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class SeenPhoto:
    """A photo, the faces that a detector finds on it, and how.

    Attributes:
        detections: in pixels of the decoded photo.
        scale: pixels of the decoded photo per pixel of the upright photo.
        steps: none unless they were asked for.
    """

    detections: Detections
    scale: float
    steps: Sequence[Step]


def look_at_photo(photo: Path, config: Config, *, with_steps: bool) -> SeenPhoto:
    """Return the faces that the detector of the settings finds on a photo.

    Raises:
        WrongUsageError: the photo can't be decoded.
        WeightsError: the detector's weights are missing or corrupt.
    """
    try:
        decoded = decode_photo(photo.read_bytes(), config.decode.max_side, config.decode.max_pixels)
    except (OSError, PhotoError) as error:
        raise WrongUsageError(f"{photo} can't be used: {error}") from error
    detector = load_detector(config.detect)
    scale = decoded.pixels.shape[1] / decoded.width
    (detections,) = detector.detect([decoded.pixels], [scale])
    steps = detector.explain(decoded.pixels) if with_steps else ()
    return SeenPhoto(detections, scale, steps)


def draw_steps(steps: Sequence[Step]) -> NDArray[np.uint8]:
    """Return one picture (H, W, 3) uint8 RGB with a panel a step, two beside each other, each under its title."""
    panels = [_panel(step) for step in steps]
    rows = [panels[first : first + COLUMNS] for first in range(0, len(panels), COLUMNS)]
    heights = [max(panel.height for panel in row) + GAP for row in rows]
    width = min(COLUMNS, len(panels)) * (PANEL_WIDTH + GAP) - GAP
    sheet = Image.new("RGB", (width, sum(heights) - GAP), PAPER)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            sheet.paste(panel, (column * (PANEL_WIDTH + GAP), top))
        top += height
    return np.asarray(sheet)


def _panel(step: Step) -> Image.Image:
    enlarged = PANEL_WIDTH / step.picture.shape[1]
    height = max(1, round(step.picture.shape[0] * enlarged))
    smooth = Image.Resampling.NEAREST if enlarged > SMOOTH_UP_TO else Image.Resampling.LANCZOS
    picture = Image.fromarray(step.picture).resize((PANEL_WIDTH, height), smooth)
    draw = ImageDraw.Draw(picture)
    for x0, y0, x1, y1 in step.boxes * enlarged:
        draw.rectangle((float(x0), float(y0), float(x1) - 1, float(y1) - 1), outline=BOX)
    for x, y in step.points * enlarged:
        draw.ellipse((float(x) - 1.5, float(y) - 1.5, float(x) + 1.5, float(y) + 1.5), fill=POINT)
    panel = Image.new("RGB", (PANEL_WIDTH, height + TITLE_HEIGHT), PAPER)
    ImageDraw.Draw(panel).text((2, 4), step.title, fill=INK, font_size=14)
    panel.paste(picture, (0, TITLE_HEIGHT))
    return panel
