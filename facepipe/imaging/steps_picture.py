"""A picture of how something comes about, step by step: a panel a step, beside and under each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from facepipe.errors import WrongUsageError

PANEL_WIDTH = 480  # pixels
SMOOTH_UP_TO = 2.5  # factor; maps of few cells are shown as they are
TITLE_HEIGHT = 24
GAP = 8
BOX, POINT, INK, PAPER = (255, 64, 64), (64, 220, 255), (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class Step:
    """One step, to be drawn.

    Attributes:
        title: a line.
        picture: (H, W, 3) uint8 RGB.
        boxes: (N, 4) float32 `box_xyxy` in pixels of the picture.
        points: (M, 2) float32 x, y in pixels of the picture.
    """

    title: str
    picture: NDArray[np.uint8]
    boxes: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 4), np.float32))
    points: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 2), np.float32))


def draw_steps(steps: Sequence[Step], columns: int = 2) -> NDArray[np.uint8]:
    """Return one picture (H, W, 3) uint8 RGB with a panel a step, each under its title.

    Args:
        steps: at least one.
        columns: panels beside each other.
    """
    panels = [_panel(step) for step in steps]
    rows = [panels[first : first + columns] for first in range(0, len(panels), columns)]
    heights = [max(panel.height for panel in row) + GAP for row in rows]
    width = min(columns, len(panels)) * (PANEL_WIDTH + GAP) - GAP
    sheet = Image.new("RGB", (width, sum(heights) - GAP), PAPER)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            sheet.paste(panel, (column * (PANEL_WIDTH + GAP), top))
        top += height
    return np.asarray(sheet)


def write_steps(file: Path, steps: Sequence[Step], columns: int = 2) -> None:
    """Write the picture of some steps (`draw_steps`).

    Raises:
        WrongUsageError: it can't be written there, or not in that format.
    """
    try:
        Image.fromarray(draw_steps(steps, columns)).save(file)
    except (OSError, ValueError) as error:
        raise WrongUsageError(f"{file} can't be written: {error}") from error


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
