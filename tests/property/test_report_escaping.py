"""Whatever a person or a file is called, the report's mark-up stays the same and the name reads the same."""

import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepipe.report.gallery import write_report
from facepipe.report.links import place_of, showable
from tests.report_album import RUN, Album
from tests.report_html import Page, crawl

WORDS = (
    st.text(st.characters(codec="utf-8"), max_size=40)
    | st.sampled_from(
        [
            "<script>alert(1)</script>",
            "\"><img src=x onerror='x'>",
            "{{ 7 * 7 }}",
            "{% raw %}",
            "&lt;",
            "</title><b>",
            "]]>",
            "-->",
        ]
    )
).filter(lambda text: bool(text.strip()))


def report(folder: Path, name: str, file_name: bytes, message: str) -> dict[str, Page]:
    album = Album()
    uris = [f"file:///photos/{number}/{quote(file_name)}" for number in range(2)]
    album.person([album.photo(uri, faces=1, crops=[None])[0] for uri in uris], name=name, person_id="a" * 36)
    album.failure(uris[0], name, message)
    album.copies(uris)
    return {page.file.name: page for page in crawl(write_report(album.tables(), RUN, folder / "report")).values()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    return report(tmp_path_factory.mktemp("plain"), "Ada", b"a.jpg", "no")


@settings(max_examples=25, deadline=None)
@given(name=WORDS, file_name=st.binary(min_size=1, max_size=30), message=WORDS)
def test_no_name_changes_the_mark_up(plain: dict[str, Page], name: str, file_name: bytes, message: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pages = report(Path(folder), name, file_name, message)
    for file, page in pages.items():
        assert page.flaws == []
        assert [tag for tag in page.tags if tag != "wbr"] == [tag for tag in plain[file].tags if tag != "wbr"]
    label = showable(" ".join(name.split()))
    assert pages[f"{'a' * 36}.html"].title == f"{label} · facepipe"


@given(st.text())
def test_only_known_schemes_are_linked_and_nothing_hides_in_a_name(uri: str) -> None:
    place = place_of(uri)
    if place.link is not None:
        assert place.link.lower().startswith(("file://", "http://", "https://", "s3://"))
    for text in (place.name, place.folder):
        assert (
            not [char for char in text if not char.isprintable() and char.isspace() and char not in " \u00a0\u3000"]
            or text
        )
        assert "\n" not in text
        assert "\u202e" not in text


@given(st.text())
def test_showable_settles_at_once(text: str) -> None:
    assert showable(showable(text)) == showable(text)
