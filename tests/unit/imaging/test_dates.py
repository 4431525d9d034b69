from datetime import date, datetime

import pytest

from facepipe.imaging.dates import date_in_name, sensible_time


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("IMG_20190704_123456.jpg", (12, 34, 56)),
        ("IMG_20190704_123456_1.jpg", (12, 34, 56)),
        ("IMG_20190704_123456789.jpg", (12, 34, 56)),
        ("PXL_20190704_123456789.MP.jpg", (12, 34, 56)),
        ("20190704123456.jpg", (12, 34, 56)),
        ("20190704T123456Z.jpg", (12, 34, 56)),
        ("2019-07-04 12.34.56.jpg", (12, 34, 56)),
        ("2019-07-04T12:34:56.jpg", (12, 34, 56)),
        ("2019_07_04_12_34_56.jpg", (12, 34, 56)),
        ("photo_2019-07-04_12-34-56.jpg", (12, 34, 56)),
        ("Screenshot_20190704-123456_Chrome.png", (12, 34, 56)),
        ("Screenshot_2019-07-04-12-34-56-78_ab.png", (12, 34, 56)),
        ("Screenshot 2019-07-04 at 12.34.56.png", (12, 34, 56)),
        ("Screenshot 2019-07-04 at 1.34.56 PM.png", (13, 34, 56)),
        ("Screenshot 2019-07-04 at 1.34.56\u202fPM.png", (13, 34, 56)),
        ("WhatsApp Image 2019-07-04 at 12.34.56 AM (1).jpeg", (0, 34, 56)),
        ("WIN_20190704_12_34_56_Pro.jpg", (12, 34, 56)),
        ("signal-2019-07-04-123456.jpg", (12, 34, 56)),
        ("signal-2019-07-04-12-34-56-789.jpg", (12, 34, 56)),
        ("signal-2019-07-04-image.jpg", (0, 0, 0)),
        ("IMG-20190704-WA0001.jpg", (0, 0, 0)),
        ("20190704.jpg", (0, 0, 0)),
        ("DSC20190704.jpg", (0, 0, 0)),
        ("2019-07-04.jpg", (0, 0, 0)),
        ("2019.07.04 at the lake.jpg", (0, 0, 0)),
        ("20190704_999999.jpg", (0, 0, 0)),
        ("99999999 20190704.jpg", (0, 0, 0)),
        ("20190704_0001.jpg", (0, 0, 0)),
    ],
)
def test_the_date_in_a_name(name: str, time: tuple[int, int, int]) -> None:
    assert date_in_name(name) == datetime(2019, 7, 4, *time)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "IMG_1234.jpg",
        "IMG_20191304_123456.jpg",
        "20190631.jpg",
        "18251231.jpg",
        "29990101.jpg",
        "00000000_000000.jpg",
        "0020190704.jpg",
        "201907041.jpg",
        "120190704123456.jpg",
        "2019070412345678901.jpg",
        "20190704ab12cd.jpg",
        "2019-0704.jpg",
        "04-07-2019.jpg",
        "1562234096000.jpg",
        "DSC01234.jpg",
    ],
)
def test_names_that_hold_no_date(name: str) -> None:
    assert date_in_name(name) is None


def test_the_earliest_and_the_latest_year() -> None:
    following = date.today().year + 1
    assert sensible_time(1826, 1, 1) == datetime(1826, 1, 1)
    assert sensible_time(1825, 12, 31) is None
    assert sensible_time(following, 12, 31) == datetime(following, 12, 31)
    assert sensible_time(following + 1, 1, 1) is None
    assert date_in_name(f"{following + 1}-01-01 18260101.jpg") == datetime(1826, 1, 1)
