"""The report as a browser shows it: from disk, on a desk and a phone, by keyboard, in the dark."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facepipe.report.gallery import write_report
from tests.headless_chromium import EXECUTABLE, Tab, chromium
from tests.report_album import RUN, family_album

pytestmark = pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"no Chromium at {EXECUTABLE}")

DESK, PHONE, SMALL_PHONE = (1280, 800), (390, 844), (360, 640)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(family_album().tables(), RUN, tmp_path_factory.mktemp("browser") / "a report #1")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Tab:
    browser.view(*DESK)
    return browser


def pixels(png: bytes) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def colours(png: bytes) -> int:
    """How many different colours a picture has."""
    return len(np.unique(pixels(png).astype(np.int32) @ np.array([1, 256, 65536], np.int32)))


def focused(tab: Tab) -> str:
    return str(tab.evaluate("document.activeElement.getAttribute('href')"))


def cards(tab: Tab) -> list[str]:
    return list(tab.evaluate("[...document.querySelectorAll('a.card')].map(a => a.getAttribute('href'))"))


def test_every_page_opens_by_its_links_without_complaint_on_desk_and_phone(tab: Tab, index: Path) -> None:
    waiting, seen = [index.as_uri()], set()
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        for size, phone in ((DESK, False), (PHONE, True), (SMALL_PHONE, True)):
            tab.view(*size, phone=phone)
            tab.open(address)
            assert tab.problems == [], f"{address} at {size}"
            assert tab.evaluate("document.documentElement.scrollWidth") <= size[0], f"{address} overflows {size}"
            assert tab.evaluate("document.querySelector('h1').getBoundingClientRect().right") <= size[0]
            assert colours(tab.screenshot()) > 50, f"{address} is blank at {size}"
        links = tab.evaluate("[...document.links].map(a => a.href.split('#')[0])")
        waiting += [link for link in links if link.startswith(index.parent.as_uri()) and link.endswith(".html")]
    assert len(seen) == len(list(index.parent.rglob("*.html")))


def test_pictures_load_and_lazy_ones_once_they_are_near(tab: Tab, index: Path) -> None:
    tab.open(index.as_uri())
    loaded = "Promise.all([...document.images].map(i => (i.loading = 'eager', i.decode()))).then(() => true)"
    assert tab.evaluate(loaded) is True
    assert tab.evaluate("document.images.length") == 1 + 6


def test_style_and_script_work_from_disk(tab: Tab, index: Path) -> None:
    tab.open(index.as_uri())
    assert tab.evaluate("getComputedStyle(document.querySelector('.grid')).display") == "grid"
    assert tab.evaluate("document.documentElement.classList.contains('keyboard')") is True


def test_arrow_keys_walk_through_people_and_enter_opens_one(tab: Tab, index: Path) -> None:
    tab.open(index.as_uri())
    people = cards(tab)
    columns = tab.evaluate("getComputedStyle(document.querySelector('.grid')).gridTemplateColumns.split(' ').length")
    assert 1 < columns < len(people)
    while focused(tab) != people[0]:
        tab.press("Tab")
    for key, expected in (
        ("ArrowRight", 1),
        ("ArrowLeft", 0),
        ("ArrowLeft", 0),
        ("ArrowDown", columns),
        ("ArrowDown", columns),
        ("ArrowUp", 0),
        ("End", len(people) - 1),
        ("Home", 0),
        ("ArrowRight", 1),
    ):
        tab.press(key)
        assert focused(tab) == people[expected], key
    outline = tab.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
    assert outline >= 2
    tab.press("Enter")
    tab.wait_for_load()
    assert tab.evaluate("location.pathname").endswith(people[1])


def test_arrow_keys_turn_to_the_neighbouring_person_and_back(tab: Tab, index: Path) -> None:
    tab.open(index.as_uri())
    people = cards(tab)
    tab.open((index.parent / people[0]).as_uri())
    for key, expected in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        tab.press(key)
        tab.wait_for_load()
        assert tab.evaluate("location.pathname").endswith(people[expected])


def test_the_way_back_leads_to_the_same_person(tab: Tab, index: Path) -> None:
    tab.open(index.as_uri())
    people = cards(tab)
    tab.open((index.parent / people[4]).as_uri())
    tab.evaluate("document.querySelector('.breadcrumb a').click()")
    tab.wait_for_load()
    assert focused(tab) == people[4]


def test_the_skip_link_comes_first_and_leads_to_the_content(tab: Tab, index: Path) -> None:
    tab.open(index.as_uri())
    tab.press("Tab")
    assert focused(tab) == "#content"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    tab.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "content"


def test_a_script_that_got_into_a_page_would_not_run(tab: Tab, index: Path) -> None:
    tab.open(index.as_uri())
    tab.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"nowhere.jpg\" onerror=\"window.broken = 1\">')"
    )
    tab.evaluate(
        "{const s = document.createElement('script'); s.textContent = 'window.broken = 2'; document.body.append(s)}"
    )
    tab.evaluate("new Promise(done => setTimeout(done, 200))")
    assert tab.evaluate("window.broken === undefined") is True
    assert any("Content Security Policy" in problem for problem in tab.problems)


def test_dark_and_calm_are_respected(tab: Tab, index: Path) -> None:
    brightness = {}
    for scheme in ("light", "dark"):
        tab.view(*DESK, prefers_color_scheme=scheme)
        tab.open(index.as_uri())
        brightness[scheme] = int(pixels(tab.screenshot())[5, 5].max())
    assert brightness["light"] > 200
    assert brightness["dark"] < 60
    duration = "getComputedStyle(document.querySelector('.card img')).transitionDuration"
    tab.view(*DESK, prefers_reduced_motion="no-preference")
    assert tab.evaluate(duration) != "0s"
    tab.view(*DESK, prefers_reduced_motion="reduce")
    assert tab.evaluate(duration) == "0s"


def test_targets_are_large_enough_for_a_finger(tab: Tab, index: Path) -> None:
    tab.view(*PHONE, phone=True)
    for page in [index, next((index.parent / "people").iterdir())]:
        tab.open(page.as_uri())
        sizes = tab.evaluate(
            "[...document.querySelectorAll('nav a, a.card, .figures a')].map(a => a.getBoundingClientRect())"
            ".map(box => Math.min(box.width, box.height))"
        )
        assert min(sizes) >= 24  # WCAG 2.2, 2.5.8
