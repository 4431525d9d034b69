"""Numbers, dates and advice as the report's sentences; always English, whatever the machine's locale."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from facepipe.errors import ErrorCode

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE, _HOUR = 60, 3600
_SPACE = "\N{NO-BREAK SPACE}"  # keeps a date on one line


def counted(number: int, one: str, many: str = "") -> str:
    """Return the number with its noun: `1 face`, `1,203 faces`; `many` where the plural isn't the noun plus s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def date(moment: datetime | None) -> str:
    """Return `3 Jan 2024`, or an empty string for an unknown date."""
    return _SPACE.join((str(moment.day), _MONTHS[moment.month - 1], str(moment.year))) if moment else ""


def date_span(first: datetime | None, last: datetime | None) -> str:
    """Return the days from first to last, what they share said once; empty where neither is known."""
    first, last = first or last, last or first
    if first is None or last is None:
        return ""
    if first.date() == last.date():
        return date(last)
    start = date(first)
    if first.year == last.year:
        start = start.removesuffix(f"{_SPACE}{first.year}")
        if first.month == last.month:
            start = str(first.day)
    return f"{start}{_SPACE}\N{EN DASH} {date(last)}"


def breakable(name: str) -> Markup:
    """Return a file name, escaped, that breaks after its own separators where it is too long for a line."""
    return Markup("<wbr>").join(re.split(r"(?<=[_.-])(?=[^_.-])", name))


def clock(moment: datetime | str | None) -> str:
    """Return `3 Jan 2024, 14:05 UTC` for a time or its ISO form; text that is no time comes back unchanged."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return str(moment)
    if moment is None:
        return ""
    zone = ""
    if moment.tzinfo is not None:
        moment, zone = moment.astimezone(UTC), " UTC"
    return f"{date(moment)}, {moment:%H:%M}{zone}"


def duration(seconds: float) -> str:
    """Return a length of time with the two largest units that matter: `0.42 s`, `12.3 s`, `4 min 12 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR:,} h {whole % _HOUR // _MINUTE} min"


def decimal(number: float) -> str:
    """Return a number with three figures: `1,234`, `66.3`, `1.97`."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


@dataclass(frozen=True)
class Advice:
    """What an error code means to somebody who owns the photo.

    Attributes:
        title: the error in two or three words.
        remedy: what it means and what to do.
    """

    title: str
    remedy: str


_ADVICE = {
    ErrorCode.UNREADABLE: Advice(
        "Could not be read",
        "The file could not be opened or read to its end. Check its permissions, and that the disk or share it lies on "
        "is connected and healthy.",
    ),
    ErrorCode.EMPTY: Advice(
        "Empty", "The file holds no bytes, usually after an interrupted copy. Copy it again, or delete it."
    ),
    ErrorCode.TRUNCATED: Advice(
        "Cut off", "The file ends before its picture does. Copy it again from the camera, the card or a backup."
    ),
    ErrorCode.NOT_AN_IMAGE: Advice(
        "Not a picture",
        "The content isn't a picture, whatever the name says. Remove the file, or leave it out with --exclude.",
    ),
    ErrorCode.TOO_LARGE: Advice(
        "Too large",
        "The file has more pixels or bytes than the limits allow. If you trust it, raise decode.max_pixels or "
        "decode.max_bytes with --set and run again.",
    ),
    ErrorCode.TIMEOUT: Advice(
        "Took too long",
        "Decoding did not end in time, so it was stopped. Open the file in a photo program and save it anew as JPEG.",
    ),
    ErrorCode.VANISHED: Advice(
        "Vanished",
        "The file was listed, but gone when its turn came. If it was moved within the source, the next run finds it.",
    ),
    ErrorCode.UNSUPPORTED: Advice(
        "Unsupported", "This is a picture of a kind that facepipe doesn't read. Convert it, for instance to JPEG."
    ),
    ErrorCode.INTERNAL: Advice(
        "Internal error",
        "The fault lies with facepipe or this machine, not with the photo. Run again with --retry-failed; if it stays, "
        "report the message below.",
    ),
}


def advice(code: str) -> Advice:
    """Return what an `errors.code` means and what to do; a code of a later version gets a general answer."""
    try:
        return _ADVICE[ErrorCode(code)]
    except ValueError:
        return Advice(code or "Unknown error", "Look at the message below, and run again with --retry-failed.")
