from datetime import UTC, datetime

import pytest

from facepipe.errors import ErrorCode
from facepipe.report.wording import advice, breakable, clock, counted, date, date_span, decimal, duration


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_counted_agrees_with_the_noun() -> None:
    assert counted(1, "face") == "1 face"
    assert counted(0, "face") == "0 faces"
    assert counted(1203, "person", "people") == "1,203 people"


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, ""),
        (datetime(2020, 1, 3), None, "3 Jan 2020"),
        (None, datetime(2020, 1, 3), "3 Jan 2020"),
        (datetime(2020, 1, 3, 8), datetime(2020, 1, 3, 22), "3 Jan 2020"),
        (datetime(2020, 1, 3), datetime(2020, 1, 14), "3 – 14 Jan 2020"),  # noqa: RUF001
        (datetime(2020, 1, 3), datetime(2020, 12, 3), "3 Jan – 3 Dec 2020"),  # noqa: RUF001
        (datetime(2019, 1, 3), datetime(2020, 1, 3), "3 Jan 2019 – 3 Jan 2020"),  # noqa: RUF001
    ],
)
def test_date_span_says_what_is_shared_once(first: datetime | None, last: datetime | None, expected: str) -> None:
    assert plain(date_span(first, last)) == expected


def test_a_date_does_not_break_across_lines() -> None:
    assert " " not in date(datetime(2020, 1, 3))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2024-06-12T10:15:00+02:00", "12 Jun 2024, 08:15 UTC"),
        (datetime(2024, 6, 12, 8, 15, tzinfo=UTC), "12 Jun 2024, 08:15 UTC"),
        (datetime(2024, 6, 12, 8, 15), "12 Jun 2024, 08:15"),
        ("soon", "soon"),
        (None, ""),
    ],
)
def test_clock(moment: datetime | str | None, expected: str) -> None:
    assert plain(clock(moment)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0.00 s"),
        (0.424, "0.42 s"),
        (12.34, "12.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (252, "4 min 12 s"),
        (3599.6, "1 h 0 min"),
        (7501, "2 h 5 min"),
    ],
)
def test_duration(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_decimal_has_three_figures() -> None:
    assert [decimal(number) for number in (1234.4, 66.27, 1.974, 0)] == ["1,234", "66.3", "1.97", "0.00"]


def test_breakable_escapes_what_it_splits() -> None:
    assert breakable("a_b<c>-d__e.jpg") == "a_<wbr>b&lt;c&gt;-<wbr>d__<wbr>e.<wbr>jpg"


@pytest.mark.parametrize("code", list(ErrorCode))
def test_each_error_code_has_its_own_advice(code: ErrorCode) -> None:
    others = [advice(other).remedy for other in ErrorCode if other != code]
    assert advice(code).remedy not in others
    assert advice(code).remedy.endswith(".")


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert advice("melted").title == "melted"
