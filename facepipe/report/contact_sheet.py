"""A person's faces side by side in one picture, the surest first."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont, ImageOps

from facepipe.errors import WrongUsageError

TILE = 128  # pixels a side
CAPTION = 18  # pixels below a tile
GAP = 8
COLUMNS = 8
MOST_FACES = 400
PAPER, INK, EMPTY = "white", "#333333", "#dddddd"


class SheetFace(NamedTuple):
    """A face on the sheet: its crop (JPEG, or None where there is none) and what is written below it."""

    crop: bytes | None
    caption: str


def draw_contact_sheet(faces: Sequence[SheetFace], title: str) -> Image.Image:
    """Return the faces in rows of COLUMNS below a title: RGB. At most MOST_FACES are drawn; the title says so.

    Args:
        faces: in the order wanted.
        title: one line.
    """
    shown = faces[:MOST_FACES]
    columns = max(1, min(COLUMNS, len(shown)))
    rows = -(-len(shown) // columns)
    if len(shown) < len(faces):
        title = f"{title}, {len(shown)} of {len(faces):,} shown"
    font, small = ImageFont.load_default(16), ImageFont.load_default(12)
    width = max(GAP + columns * (TILE + GAP), 2 * GAP + int(font.getlength(title)))
    top = 2 * GAP + CAPTION
    sheet = Image.new("RGB", (width, top + rows * (TILE + CAPTION + GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), title, INK, font)
    for place, face in enumerate(shown):
        row, column = divmod(place, columns)
        x, y = GAP + column * (TILE + GAP), top + row * (TILE + CAPTION + GAP)
        tile = _tile(face.crop)
        if tile is None:
            draw.rectangle((x, y, x + TILE - 1, y + TILE - 1), EMPTY)
        else:
            sheet.paste(tile, (x, y))
        draw.text((x, y + TILE + 2), face.caption, INK, small)
    return sheet


def save_picture(picture: Image.Image, file: Path) -> None:
    """Write a picture in the format that its name says.

    Raises:
        WrongUsageError: the name says none, or it can't be written.
    """
    try:
        picture.save(file)
    except (OSError, ValueError) as error:
        raise WrongUsageError(f"{file} can't be written: {error}; give a name such as sheet.png") from error


def _tile(crop: bytes | None) -> Image.Image | None:
    try:
        with Image.open(io.BytesIO(crop or b""), formats=["JPEG"]) as image:
            return ImageOps.fit(image.convert("RGB"), (TILE, TILE))
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
