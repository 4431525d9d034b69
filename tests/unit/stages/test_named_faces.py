"""Who counts as known to a library, and what is read of their faces."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from facepipe.errors import WrongUsageError
from facepipe.library.decisions import Decision, Recorded, decide, new_decision, to_rows
from facepipe.library.library import Library
from facepipe.stages.find_duplicates import METHOD
from facepipe.stages.named_faces import NamedFaces, named_faces, names_of_faces
from tests.library_rows import face_ids_of, file_rows, photo_id_of, table_of, write_batch

Owners = dict[str, str | None]
OWNERS: Owners = {"a1": "A", "a2": "A", "b1": "B", "b2": "B", "c1": "C", "n1": None}


def names(owners: Owners, *said: Decision) -> dict[str, str]:
    """Return who faces are after decisions a second apart."""
    first = new_decision("name").at
    told = [decision._replace(at=first + timedelta(seconds=place)) for place, decision in enumerate(said)]

    def recorded(run_id: str) -> Recorded:
        return Recorded(first + timedelta(seconds=int(run_id) + 0.5), {"b1": "B", "b2": "B"})

    return names_of_faces(decide(told, recorded), owners)


def name(person: str, text: str) -> Decision:
    return new_decision("name", person_ids=[person], name=text)


def test_all_faces_of_people_with_a_name_count_and_of_others_those_spoken_of() -> None:
    assert names(OWNERS) == {}
    assert names(OWNERS, name("A", "Ann")) == {"a1": "Ann", "a2": "Ann"}
    assert names(OWNERS, new_decision("confirm", ["b1", "n1"], ["B"])) == {"b1": "B", "n1": "B"}
    assert names(OWNERS, new_decision("split", ["b2"], ["B", "D"])) == {"b2": "D"}
    assert names(OWNERS, new_decision("merge", ["b1", "b2", "c1"], ["B", "C"])) == {}
    assert names(OWNERS, name("A", "Ann"), name("B", "Ann"))["b1"] == "Ann"  # who has one name is one person


def test_who_is_hidden_rejected_or_no_face_does_not_count() -> None:
    named = name("A", "Ann"), new_decision("confirm", ["b1"], ["B"])
    assert names(OWNERS, *named, new_decision("hide", person_ids=["A"])) == {"b1": "B"}
    assert names(OWNERS, *named, new_decision("reject", ["a1"], ["A"])) == {"a2": "Ann", "b1": "B"}
    assert names(OWNERS, *named, new_decision("not_a_face", ["a1"])) == {"a2": "Ann", "b1": "B"}
    assert names(OWNERS, *named, name("A", "")) == {"b1": "B"}


def test_decisions_count_before_they_have_been_carried_out() -> None:
    """A command that was killed has decided; a face that came since the last grouping has no assignment."""
    assert names({"a1": None}, new_decision("confirm", ["a1", "new"], ["A"])) == {"a1": "A", "new": "A"}
    confirmed, back = new_decision("confirm", ["b1"], ["B"]), new_decision("rollback", name="0")
    assert names(OWNERS, confirmed, name("B", "Bob"), back) == {"b1": "B"}


def make_library(folder: Path, decisions: Sequence[Decision], copies: Sequence[tuple[str, str]] = ()) -> Library:
    """A has the first faces of photos a, b and d; B has the second of a, and that of c."""
    library = Library.create_or_open(folder)
    photos = {"a": 2, "b": 1, "c": 1, "d": 1}
    owners = dict(zip([f for name in photos for f in face_ids_of(name, photos[name])], "ABABA", strict=True))
    with library.writer("test") as writer:
        writer.append("files", file_rows(*photos))
        writer.commit_batches(*write_batch(library, photos, "batch"), table_of("errors", []))
        writer.append(
            "assignments", table_of("assignments", [{"face_id": f, "person_id": owner} for f, owner in owners.items()])
        )
        for decision in decisions:
            writer.append("decisions", to_rows(decision))
        pairs = [
            {
                "photo_id": min(map(photo_id_of, pair)),
                "other_id": max(map(photo_id_of, pair)),
                "kind": "near",
                "difference": 0.1,
                "method": METHOD,
            }
            for pair in copies
        ]
        writer.append("comparisons", table_of("comparisons", pairs))
    return library


def rows_of(found: NamedFaces) -> dict[str, list[str]]:
    letters = {photo_id_of(letter): letter for letter in "abcd"}
    return {letters[row["photo_id"]]: row["people"] for row in found.photos.to_pylist()}


ANN, BOB = name("A", "Ann"), name("B", "Bob")


def test_a_photos_faces_are_one_row_with_boxes_scores_and_landmarks(tmp_path: Path) -> None:
    found = named_faces(make_library(tmp_path, [ANN, BOB]))
    assert rows_of(found) == {"a": ["Ann", "Bob"], "b": ["Ann"], "c": ["Bob"], "d": ["Ann"]}
    row = next(row for row in found.photos.to_pylist() if len(row["people"]) == 2)
    assert row["boxes"] == [10.5, 20.25, 60.5, 80.75] * 2
    assert len(row["scores"]) == 2
    assert row["landmarks"] == [float(value) for value in range(10)] * 2
    assert len(found.files) == 4
    assert found.copies == 0


def test_of_copies_the_photo_to_keep_counts_where_it_shows_the_same_people(tmp_path: Path) -> None:
    """Of equal size, b is larger in bytes than a, and d than c: those are kept."""
    found = named_faces(make_library(tmp_path / "same", [ANN, BOB], [("a", "b"), ("c", "d")]))
    assert rows_of(found) == {"a": ["Bob"], "b": ["Ann"], "c": ["Bob"], "d": ["Ann"]}
    assert found.copies == 0
    found = named_faces(make_library(tmp_path / "all", [ANN], [("a", "b")]))
    assert rows_of(found) == {"b": ["Ann"], "d": ["Ann"]}
    assert found.copies == 1


def test_the_digest_says_which_faces_of_whom(tmp_path: Path) -> None:
    digests = [
        named_faces(make_library(tmp_path / str(number), decisions)).digest
        for number, decisions in enumerate(([ANN, BOB], [BOB, ANN], [ANN], [ANN, name("B", "Rob")]))
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_library_without_known_people_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError, match=r"nobody in the library .* is named or confirmed"):
        named_faces(make_library(tmp_path, [new_decision("hide", person_ids=["A"])]))
