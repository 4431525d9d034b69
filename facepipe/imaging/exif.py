"""What a photo's EXIF says: when, with what and where it was taken, and which way up it is."""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

_CAMERA_CHARACTERS = 100  # a hostile file may put a book here


@dataclass(frozen=True)
class PhotoFacts:
    """What EXIF tells; None where it says nothing, or nothing sensible.

    Attributes:
        taken_at: local time without zone, from DateTimeOriginal, else DateTime.
        camera: make and model.
        latitude: degrees, north positive.
        longitude: degrees, east positive.
        orientation: 1 to 8, as in EXIF; 1 (upright) where it isn't said.
    """

    taken_at: datetime | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    orientation: int = 1


def read_exif(image: Image.Image) -> PhotoFacts:
    """Return what the EXIF of a *loaded* image says (a TIFF turns itself upright while it is loaded).

    Broken EXIF is common and never costs the photo: what can't be understood is left out.
    """
    main = _tags(image, None)
    photo = _tags(image, IFD.Exif)
    gps = _tags(image, IFD.GPSInfo)
    latitude = _degrees(gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef), "S", 90)
    longitude = _degrees(gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef), "W", 180)
    orientation = main.get(Base.Orientation)
    return PhotoFacts(
        taken_at=_time(photo.get(Base.DateTimeOriginal)) or _time(main.get(Base.DateTime)),
        camera=_camera(main.get(Base.Make), main.get(Base.Model)),
        latitude=None if longitude is None else latitude,
        longitude=None if latitude is None else longitude,
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
    )


def _tags(image: Image.Image, part: IFD | None) -> dict[int, Any]:
    try:
        exif = image.getexif()
        return dict(exif if part is None else exif.get_ifd(part))
    except Exception:  # noqa: BLE001 - hostile bytes raise anything inside the parser, and a photo without EXIF is a photo
        return {}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        return ""
    printable = "".join(character if character.isprintable() else " " for character in value.split("\0")[0])
    return " ".join(printable.split())


def _time(value: object) -> datetime | None:
    found = re.match(r"(\d{4})[:/-](\d\d?)[:/-](\d\d?)[ T](\d\d?):(\d\d?):(\d\d?)", _text(value))
    if not found:
        return None
    try:
        year, month, day, hour, minute, second = (int(part) for part in found.groups())
        return datetime(year, month, day, hour, minute, second)
    except ValueError:  # 0000:00:00 from a camera whose clock was never set
        return None


def _camera(make: object, model: object) -> str | None:
    maker, name = _text(make), _text(model)
    brand = maker.lower().split(" ")[0]  # NIKON CORPORATION, NIKON D810
    both = name if name.lower().startswith(brand) else f"{maker} {name}"
    return both.strip()[:_CAMERA_CHARACTERS] or None


def _degrees(parts: object, reference: object, negative: str, limit: int) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in parts)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value) or not 0 <= value <= limit:
        return None
    return -value if _text(reference).upper().startswith(negative) else value
