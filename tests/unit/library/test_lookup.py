import pytest

from facepipe.errors import WrongUsageError
from facepipe.library.lookup import find_faces, find_person, short_face_id
from tests.library_rows import table_of

PEOPLE = table_of(
    "people",
    [
        {"person_id": "aa11", "name": "Ann"},
        {"person_id": "aa22", "name": "Bob"},
        {"person_id": "bb33", "name": "Bob"},
        {"person_id": "cc44", "name": "aa11"},
        {"person_id": "dd55", "name": "bb"},
    ],
)
FACES = ["abcdef0123-0001", "abcdef0123-0002", "abcdef9999-0001"]


@pytest.mark.parametrize(("text", "person"), [("aa11", "aa11"), ("aa2", "aa22"), ("Ann", "aa11"), ("cc", "cc44")])
def test_people_are_found_by_id_beginning_and_name(text: str, person: str) -> None:
    assert find_person(PEOPLE, text) == person


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ann", "there is no person 'ann'"),
        ("", "there is no person ''"),
        ("aa", r"'aa' may be 2 people: aa11 \(Ann\), aa22 \(Bob\); give more of the id"),
        ("Bob", "may be 2 people"),
        ("bb", "may be 2 people"),  # the beginning of one id and the name of another
    ],
)
def test_nobody_and_more_than_one_are_errors(text: str, message: str) -> None:
    with pytest.raises(WrongUsageError, match=message):
        find_person(PEOPLE, text)


def test_faces_are_found_by_id_and_short_id_each_once() -> None:
    texts = ["abcdef0123-0002", "abcdef9-0001", "abcdef9999-0001"]
    assert find_faces(FACES, texts) == ["abcdef0123-0002", "abcdef9999-0001"]
    assert find_faces(FACES, [short_face_id(FACES[1])]) == [FACES[1]]


@pytest.mark.parametrize("text", ["abcdef-0001", "abcdef-0003", "abcdef", "-0001", ""])
def test_faces_that_are_not_there_or_not_one_are_errors(text: str) -> None:
    with pytest.raises(WrongUsageError, match="face"):
        find_faces(FACES, [text])
