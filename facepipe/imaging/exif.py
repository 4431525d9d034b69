"""What a photo says of itself, in EXIF or else XMP: when, with what and where it was taken, and which way is up."""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from facepipe.imaging.dates import sensible_time
from facepipe.imaging.xmp import read_xmp

_CAMERA_CHARACTERS = 100  # a hostile file may put a book here
_XMP_TIMES = ("photoshop:DateCreated", "exif:DateTimeOriginal", "xmp:CreateDate")  # the shot, the shot, the file
_TIME = re.compile(r"(\d{4})[:/-](\d\d?)[:/-](\d\d?)(?:[ T](\d\d?):(\d\d?)(?::(\d\d?))?)?")
_XMP_PLACE = re.compile(r"(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:,(\d+(?:\.\d+)?))?([NSEW])")


@dataclass(frozen=True)
class PhotoFacts:
    """What EXIF or XMP tells; None where they say nothing, or nothing sensible.

    Attributes:
        taken_at: local time without zone. EXIF: DateTimeOriginal, else DateTimeDigitized, else DateTime. XMP:
            photoshop:DateCreated, else exif:DateTimeOriginal, else xmp:CreateDate.
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


def read_facts(image: Image.Image) -> PhotoFacts:
    """Return what the EXIF, else the XMP, of a *loaded* image says (a TIFF turns itself upright while it is loaded).

    Both are often broken, which never costs the photo: what can't be understood is left out.
    """
    main = _tags(image, None)
    photo = _tags(image, IFD.Exif)
    gps = _tags(image, IFD.GPSInfo)
    xmp = read_xmp(_xmp_packet(image))
    times = [photo.get(Base.DateTimeOriginal), photo.get(Base.DateTimeDigitized), main.get(Base.DateTime)]
    times += [xmp.get(name) for name in _XMP_TIMES]
    place = _place(
        _degrees(gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef), "S", 90),
        _degrees(gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef), "W", 180),
    ) or _place(_xmp_degrees(xmp.get("exif:GPSLatitude"), 90), _xmp_degrees(xmp.get("exif:GPSLongitude"), 180))
    orientation = main.get(Base.Orientation)
    return PhotoFacts(
        taken_at=next((time for time in map(_time, times) if time), None),
        camera=_camera(main.get(Base.Make), main.get(Base.Model))
        or _camera(xmp.get("tiff:Make"), xmp.get("tiff:Model")),
        latitude=place[0] if place else None,
        longitude=place[1] if place else None,
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
    )


def _tags(image: Image.Image, part: IFD | None) -> dict[int, Any]:
    try:
        exif = image.getexif()
        return dict(exif if part is None else exif.get_ifd(part))
    except Exception:  # noqa: BLE001 - hostile bytes raise anything inside the parser, and a photo without EXIF is a photo
        return {}


def _xmp_packet(image: Image.Image) -> bytes:
    packet = image.info.get("xmp", b"")
    if isinstance(packet, str):
        return packet.encode()
    return packet if isinstance(packet, bytes) else b""


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        return ""
    printable = "".join(character if character.isprintable() else " " for character in value.split("\0")[0])
    return " ".join(printable.split())


def _time(value: object) -> datetime | None:
    """Return the time in EXIF (`2019:07:04 12:34:56`) or XMP (`2019-07-04T12:34+02:00`), as its clock showed it.

    A date alone is midnight; a year or a month alone is no time.
    """
    found = _TIME.match(_text(value))
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    return sensible_time(year, month, day, hour, minute, second)


def _camera(make: object, model: object) -> str | None:
    maker, name = _text(make), _text(model)
    brand = maker.lower().split(" ")[0]  # NIKON CORPORATION, NIKON D810
    both = name if name.lower().startswith(brand) else f"{maker} {name}"
    return both.strip()[:_CAMERA_CHARACTERS] or None


def _place(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    if latitude is None or longitude is None or latitude == longitude == 0:  # 0, 0: the receiver had found no satellite
        return None
    return latitude, longitude


def _degrees(parts: object, reference: object, negative: str, limit: int) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in parts)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value) or not 0 <= value <= limit:
        return None
    return -value if _text(reference).upper().startswith(negative) else value


def _xmp_degrees(value: str | None, limit: int) -> float | None:
    """Return degrees from `52,30,36N` or `52,30.6N` (XMP specification part 2, GPSCoordinate)."""
    found = _XMP_PLACE.fullmatch(value or "")
    if not found:
        return None
    degrees, minutes, seconds = (part or "0" for part in found.groups()[:3])
    return _degrees((degrees, minutes, seconds), found[4], "W" if found[4] in "EW" else "S", limit)
