import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facepipe.errors import WrongUsageError
from facepipe.report import gallery
from facepipe.report.crops import write_crops
from facepipe.report.gallery import write_report
from facepipe.report.portraits import Person, hidden_faces, join_faces, order_people, to_faces
from facepipe.report.replace import MARKER
from tests.report_album import RUN, Album, draw_face, family_album
from tests.report_html import Page, crawl


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(family_album().tables(), RUN, tmp_path_factory.mktemp("family") / "report")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def texts(html: Path, kind: str) -> list[str]:
    """The texts of all elements of a class that hold no other element but <bdi> and <wbr>."""
    source = re.sub(r"</?(?:bdi|wbr)>", "", html.read_text())
    return re.findall(rf'class="{kind}">([^<]*)<', source)


def test_every_link_and_picture_leads_somewhere_and_every_file_is_used(family: Path) -> None:
    pages = crawl(family)
    assert {page.resolve() for page in family.parent.rglob("*.html")} == set(pages)
    used = {(page.file.parent / resource).resolve() for page in pages.values() for resource in page.resources}
    assert {crop.resolve() for crop in family.parent.rglob("*.jpg")} <= used


def test_pages_are_sound_titled_and_described(family: Path) -> None:
    pages = crawl(family).values()
    assert len(pages) == 5 + 6
    for page in pages:
        assert page.flaws == []
        assert page.language == "en"
        assert page.title.endswith(" · facepipe")
        assert page.tags.count("h1") == page.tags.count("main") == 1
        assert MARKER in page.file.read_text()
        for image in page.images:
            assert "alt" in image
            assert int(image["width"]) > 0 < int(image["height"])
    assert len({page.title for page in pages}) == len(pages)


def test_people_come_by_photos_with_names_counts_and_dates(family: Path) -> None:
    assert texts(family, "name")[:2] == ["Maria Sørensen", "Person 2"]
    assert texts(family, "counts") == [
        "28 photos · 28 faces",
        "12 photos · 12 faces",
        "8 photos · 8 faces",
        "6 photos · 6 faces",
        "4 photos · 4 faces",
        "2 photos · 2 faces",
    ]
    assert "26\xa0Nov\xa02022\xa0– 23\xa0Jun\xa02024" in family.read_text()  # noqa: RUF001


def test_hostile_names_stay_text(family: Path) -> None:
    for page in crawl(family).values():
        assert page.tags.count("script") == 1
        assert not [link for link in page.links if not re.match(r"(file|s3)://|[\w./-]*\.html|#content", link)]
    text = Page(family).text
    assert "<script>alert('x')</script> & \"Bobby\" Tables" in text
    assert "\N{REPLACEMENT CHARACTER}drawkcab" in text
    assert "\u202e" not in "".join(page.file.read_text() for page in crawl(family).values())


def test_a_face_links_to_a_photo_that_is_there(tmp_path: Path) -> None:
    album = Album()
    both = album.photo(["file:///z.jpg", "file:///a.jpg"], faces=1)
    gone = album.photo("file:///gone.jpg", faces=1, missing=True)
    album.rows["files"][1]["missing_since"] = datetime(2024, 1, 1)
    album.person([*both, *gone])
    index = write_report(album.tables(), RUN, tmp_path / "report")
    page = Page(next((index.parent / "people").iterdir()))
    assert [link for link in page.links if link.startswith("file:")] == ["file:///z.jpg"]
    assert "gone.jpg" in page.text
    assert "photo no longer there" in page.text


def test_unassigned_faces_come_surest_first(tmp_path: Path) -> None:
    album = Album()
    album.photo("file:///a.jpg", faces=3, scores=[0.71, 0.99, 0.85])
    album.rows["assignments"].pop()  # not grouped yet: belongs to nobody either
    index = write_report(album.tables(), RUN, tmp_path / "report")
    scores = re.findall(r"score (0\.\d+)", (index.parent / "unassigned.html").read_text())
    assert scores == ["0.99", "0.85", "0.71"]
    assert "Nobody here yet" in index.read_text()


def test_hidden_people_leave_nothing_but_their_number(tmp_path: Path) -> None:
    album = Album()
    faces = [album.photo(f"file:///{number}.jpg", faces=2) for number in range(3)]
    album.person([of[0] for of in faces], name="Ada")
    hidden = album.person([of[1] for of in faces], name="Secret", hidden=True)
    index = write_report(album.tables(), RUN, tmp_path / "report")
    assert "1 hidden person" in index.read_text()
    assert len(list(index.parent.rglob("*.jpg"))) == 3
    for path, data in contents(index.parent).items():
        assert b"Secret" not in data
        assert hidden not in path
        assert not any(of[1] in path or of[1].encode() in data for of in faces)


def test_errors_say_what_to_do(family: Path) -> None:
    text = Page(family.parent / "errors.html").text
    for expected in ("cut off.jpg", "the file ends after 12,288 of 48,213 bytes", "Copy it again", "/photos"):
        assert expected in text


def test_copies_show_which_one_is_kept(family: Path) -> None:
    page = Page(family.parent / "copies.html")
    assert re.search(r"party\.jpg\s+keep", page.text)
    assert "party (1).jpg" in page.text
    assert "file:///photos/b/party%20(1).jpg" in page.links
    assert len(page.images) == 1 + 1  # the icon and a face on the photo


def test_long_lists_are_cut_into_pages(tmp_path: Path) -> None:
    album = Album()
    for person in range(7):
        faces = [album.photo(f"file:///{person}-{number}.jpg", faces=1)[0] for number in range(2 + 5 * (person == 0))]
        album.person(faces)
    album.photo("file:///many.jpg", faces=7)
    for number in range(4):
        album.failure(f"file:///broken-{number}.jpg", "truncated" if number % 2 else "empty", "no")
    album.copies([f"file:///{number}-0.jpg" for number in range(5)])
    index = write_report(album.tables(), RUN, tmp_path / "report", page_rows=3)
    pages = crawl(index)
    assert set(pages) == {path.resolve() for path in index.parent.rglob("*.html")}
    of_list = {
        stem: len(list(index.parent.glob(f"{stem}*.html"))) for stem in ("index", "unassigned", "errors", "copies")
    }
    assert of_list == {"index": 3, "unassigned": 3, "errors": 2, "copies": 2}
    assert len(list((index.parent / "people").iterdir())) == 3 + 6
    assert all(page.tags.count("li") < 3 + 20 for page in pages.values())
    shown = [
        [link for link in Page(index.parent / name).links if "people/" in link]
        for name in ("index.html", "index-2.html", "index-3.html")
    ]
    assert [len(links) for links in shown] == [3, 3, 1]
    assert len({link for links in shown for link in links}) == 7
    assert "../index-3.html#person-" in (index.parent / shown[2][0]).read_text()


def test_equal_tables_give_equal_bytes_and_stale_pages_vanish(tmp_path: Path) -> None:
    tables = family_album().tables()
    shuffled = {name: table.take(np.arange(table.num_rows)[::-1]) for name, table in tables.items()}
    first = contents(write_report(tables, RUN, tmp_path / "a").parent)
    assert contents(write_report(shuffled, RUN, tmp_path / "b").parent) == first
    write_report({}, {}, tmp_path / "b")
    assert len(contents(tmp_path / "b")) == 5 + 2


def test_an_empty_library_has_all_its_pages(tmp_path: Path) -> None:
    index = write_report({}, {}, tmp_path / "report")
    assert index == tmp_path / "report" / "index.html"
    assert {path.name for path in crawl(index)} == {
        "index.html",
        "unassigned.html",
        "errors.html",
        "copies.html",
        "run.html",
    }
    assert all(page.flaws == [] for page in crawl(index).values())


def test_an_interrupted_report_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = family_album().tables()
    before = contents(write_report(tables, RUN, tmp_path / "report").parent)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gallery, "_write_copies", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report({}, RUN, tmp_path / "report")
    assert contents(tmp_path / "report") == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(WrongUsageError, match="name a new folder"):
        write_report({}, {}, tmp_path)


def test_a_person_without_faces_or_cover_still_has_a_page(tmp_path: Path) -> None:
    album = Album()
    album.person([], name="Nobody's face", person_id="0" * 36)
    faces = album.photo("file:///a.jpg", faces=2, crops=[None, draw_face("b")])
    album.person(faces)
    index = write_report(album.tables(), RUN, tmp_path / "report")
    assert [page for page in crawl(index).values() if "No face of this person is left" in page.text]
    assert f"faces/{faces[1][:2]}/{faces[1]}.jpg" in index.read_text()


def slow_rows(rows: dict[str, list[dict[str, Any]]], people: list[Person]) -> list[list[str]]:
    """Face_ids a person (last: unassigned) in page order, by plain loops over the tables."""
    hidden = {row["person_id"] for row in rows["people"] if row["hidden"]}
    person_of = {row["face_id"]: row.get("person_id") for row in rows["assignments"]}
    taken_at = {row["photo_id"]: row["taken_at"] for row in rows["photos"]}
    pages = []
    for person in people:
        own = [face for face in rows["faces"] if person_of[face["face_id"]] == person.person_id]
        places = {
            face["face_id"]: min(row["uri"] for row in rows["files"] if row["photo_id"] == face["photo_id"])
            for face in own
        }
        own.sort(
            key=lambda face: (taken_at[face["photo_id"]] or datetime.max, places[face["face_id"]], face["face_id"])
        )
        pages.append([face["face_id"] for face in own])
    known = {person.person_id for person in people} | hidden
    rest = [face for face in rows["faces"] if person_of[face["face_id"]] not in known]
    places = {
        face["face_id"]: min(row["uri"] for row in rows["files"] if row["photo_id"] == face["photo_id"])
        for face in rest
    }
    rest.sort(key=lambda face: (-face["score"], places[face["face_id"]], face["face_id"]))
    return [*pages, [face["face_id"] for face in rest]]


def test_joined_faces_agree_with_plain_loops(tmp_path: Path) -> None:
    album = family_album()
    tables = album.tables()
    people = order_people(tables["people"])
    hidden = hidden_faces(tables["people"], tables["assignments"])
    rows = join_faces(tables, people, write_crops(tables["faces"].to_batches(), hidden, tmp_path), hidden)
    fast = [[face.face_id for face in to_faces(rows.of_person(index))] for index in range(len(people))]
    fast.append([face.face_id for face in to_faces(rows.unassigned)])
    assert fast == slow_rows(album.rows, people)
