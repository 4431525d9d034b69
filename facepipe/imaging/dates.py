"""When a photo was taken, where a time is sensible at all, and where only the file's name tells it."""

import re
from datetime import datetime

FIRST_PHOTO_YEAR = 1826  # Niépce's view from the window at Le Gras

_NAME_DATE = re.compile(
    r"""
    (?<!\d) (?P<year>\d{4}) (?P<between>[-_.:\ ]?) (?P<month>\d\d) (?P=between) (?P<day>\d\d)
    (?: (?:[-_.\sT]|\s?[-_@]\s?|,?\s(?:at|um|à)\s)?                      # 14 digits may follow each other closely
        (?P<hour>\d\d|\d(?=[.:])) (?P<within>[-_.:]?) (?P<minute>\d\d) (?P=within) (?P<second>\d\d)
        (?:\s?(?P<half>[ap])\.?m)? (?P<milliseconds>[-_.~]?\d{3})? (?!\d)
      | (?![0-9a-z])                                                  # a hash or a serial number goes on right here
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)


def sensible_time(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime | None:
    """Return the time, or None where the calendar has no such, or it lies before photography or after next year."""
    if not FIRST_PHOTO_YEAR <= year <= datetime.now().year + 1:
        return None
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:  # 0000:00:00 from a camera whose clock was never set, the 31st of June
        return None


def date_in_name(name: str) -> datetime | None:
    """Return the date, and the time where there is one, that a camera or a program wrote into a file's name.

    Year, month, day in this order, with one and the same separator between them or none: `IMG_20190704_123456.jpg`,
    `PXL_20190704_123456789.jpg`, `2019-07-04 12.34.56.jpg`, `Screenshot 2019-07-04 at 1.34.56 PM.png`,
    `IMG-20190704-WA0001.jpg`, `signal-2019-07-04-123456.jpg`. Digits that are part of a longer number are no date, nor
    is what the calendar doesn't know. Some programs write universal time; nothing in the name says so.

    Args:
        name: of the file, without its folders.

    Returns:
        Midnight where the name holds a date without a sensible time; the first date where it holds several.
    """
    for found in _NAME_DATE.finditer(name):
        year, month, day = (int(found[part]) for part in ("year", "month", "day"))
        date = sensible_time(year, month, day)
        if date is None:
            continue
        if found["hour"] is None:
            return date
        hour, half = int(found["hour"]), (found["half"] or "").lower()
        if half and not 1 <= hour <= 12:
            return date
        hour = hour % 12 + 12 * (half == "p") if half else hour
        return sensible_time(year, month, day, hour, int(found["minute"]), int(found["second"])) or date
    return None
