"""`--include` and `--exclude`, beside regular expressions that say the same."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepipe.sources.selection import Selection


@pytest.mark.parametrize(
    ("pattern", "taken", "left"),
    [
        ("*.jpg", ["a.jpg", "sub/deep/A.JPG"], ["a.jpgx", "a.png"]),
        ("*.JPG", ["a.jpg"], ["a.png"]),
        ("2019", ["2019/a.jpg", "x/2019/y/a.jpg"], ["2019b/a.jpg"]),
        ("thumbs/", ["x/thumbs/a.jpg"], ["thumbs2/a.jpg"]),
        ("/2019", ["2019/a.jpg"], ["x/2019/a.jpg"]),
        ("2019/raw", ["2019/raw/a.jpg"], ["x/2019/raw/a.jpg", "2019/a.jpg"]),
        ("2019/*.jpg", ["2019/a.jpg"], ["2019/sub/a.jpg"]),
        ("2019/**", ["2019/a.jpg", "2019/sub/a.jpg"], ["2018/a.jpg", "2019"]),
        ("2019/**/*.jpg", ["2019/a.jpg", "2019/sub/deep/a.jpg"], ["2019/a.png"]),
        ("**/raw", ["raw/a.jpg", "x/y/raw/a.jpg"], ["draw/a.jpg"]),
        ("IMG_[0-9]?.*", ["img_12.jpg"], ["img_a2.jpg"]),
        ("*.tar", ["x.tar/member.jpg"], ["x.jpg"]),
        ("new\nline*", ["new\nline.jpg"], ["new.jpg"]),
    ],
)
def test_patterns(pattern: str, taken: list[str], left: list[str]) -> None:
    for path in taken + left:
        assert Selection(include=[pattern]).takes(path) is (path in taken), path
        assert Selection(exclude=[pattern]).takes(path) is (path in left), path


def test_exclusion_wins_and_keeps_folders_shut() -> None:
    selection = Selection(include=["*.jpg", "*.png"], exclude=["thumbs"])
    assert selection.takes("a.jpg")
    assert selection.takes("b.png")
    assert not selection.takes("x/thumbs/a.jpg")
    assert not selection.enters("x/thumbs")
    assert selection.enters("x")  # what is to be included may lie below
    assert Selection().takes_all
    assert not selection.takes_all


def as_regex(pattern: str) -> str:
    """The same by translation: `**` any folders, `*` and `?` anything but a slash; then anything below."""
    wanted = pattern.strip("/")
    anchored = "/" in pattern.removesuffix("/")
    translated = ""
    parts = wanted.split("/") if anchored else ["**", wanted.replace("**", "*")]
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if part == "**":
            translated += "(?:[^/]+/)*" + ("[^/]+" if last else "")
        else:
            translated += re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") + ("" if last else "/")
    return f"(?s:{translated})(?:/.*)?"


PART = st.text("ab*?", min_size=1, max_size=3).map(lambda part: part if part == "**" else part.replace("**", "*"))


@settings(max_examples=500, deadline=None)
@given(
    pattern=st.lists(PART, min_size=1, max_size=3).map("/".join),
    slash=st.booleans(),
    path=st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join),
)
def test_patterns_agree_with_regular_expressions(pattern: str, slash: bool, path: str) -> None:
    whole = "/" * slash + pattern
    folders = [path[: match.start()] for match in re.finditer("/", path)]
    expected = any(re.fullmatch(as_regex(whole), place) for place in [*folders, path])
    assert Selection(include=[whole]).takes(path) is expected
