import re
from importlib.resources import files

import pytest

REPORT = files("facepipe.report")
STYLE = REPORT.joinpath("static", "gallery.css").read_text()
SOURCES = {
    item.name: item.read_text() for folder in ("static", "templates") for item in REPORT.joinpath(folder).iterdir()
}


def colours(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    return found if scheme == "light" else found | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("text", "page"),
        ("text", "surface"),
        ("muted", "page"),
        ("muted", "surface"),
        ("accent", "page"),
        ("accent", "surface"),
        ("accent", "tint"),
        ("muted", "tint"),
        ("warning", "page"),
        ("warning", "surface"),
        ("warning", "warning-tint"),
        ("page", "accent"),
        ("surface", "accent"),
    ],
)
def test_text_stands_out_from_its_ground(scheme: str, text: str, ground: str) -> None:
    palette = colours(scheme)
    darker, lighter = sorted((luminance(palette[text]), luminance(palette[ground])))
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5  # WCAG 2.2, 1.4.3


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_nothing_is_loaded_from_a_network(name: str) -> None:
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", SOURCES[name]))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in SOURCES[name]


def test_motion_is_only_for_those_who_want_it() -> None:
    outside = re.sub(r"@media \(prefers-reduced-motion: no-preference\) \{.*?\n\}", "", STYLE, flags=re.DOTALL)
    assert "transition" not in outside
    assert "animation" not in outside
