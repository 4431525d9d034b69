"""What users decide about people, through the real program: it holds at once and after every later grouping."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facepipe.library.library import Library
from tests.made_library import add_photos, face_id
from tests.program import Outcome, facepipe

Run = Callable[..., Outcome]
PEOPLE = [("ann", 6), ("bob", 5), ("cid", 4), ("dan", 1)]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    add_photos(tmp_path / "library", PEOPLE)
    return tmp_path / "library"


def run(library: Path, *words: str) -> Any:
    """Return what a command printed as JSON; it must succeed."""
    outcome = facepipe(*words, "--library", library, "--json")
    assert outcome.code == 0, outcome.err
    return outcome.json


def group(library: Path, *options: str) -> Any:
    return run(library, "group", "--engine", "local", *options)


def owners(library: Path) -> dict[str, str | None]:
    rows = Library.open(library).read("assignments")
    return dict(zip(rows["face_id"].to_pylist(), rows["person_id"].to_pylist(), strict=True))


def person(library: Path, name: str, number: int = 0) -> str:
    owner = owners(library)[face_id(name, number)]
    assert owner is not None
    return owner


def test_decisions_hold_at_once_and_after_regroupings(library: Path) -> None:
    first = group(library)
    assert (first["people"], first["unassigned"]) == (3, 1)
    ann, bob, cid = (person(library, name) for name in ("ann", "bob", "cid"))
    run(library, "people", "name", ann[:8], "Ann Other")
    run(library, "people", "merge", "Ann Other", bob)
    run(library, "people", "reject", cid, face_id("cid", 3))
    split = run(library, "people", "split", ann, face_id("ann", 4), face_id("ann", 5))
    run(library, "people", "confirm", cid, face_id("dan", 0))
    run(library, "people", "not-a-face", face_id("bob", 4))
    run(library, "people", "hide", split["person_ids"][1])
    now = owners(library)
    new = split["person_ids"][1]
    assert {now[face_id("ann", number)] for number in range(4)} == {ann}
    assert {now[face_id("bob", number)] for number in range(4)} == {ann}
    assert {now[face_id("ann", number)] for number in (4, 5)} == {new}
    assert now[face_id("dan", 0)] == now[face_id("cid", 0)] == cid
    assert now[face_id("cid", 3)] is None
    assert now[face_id("bob", 4)] is None
    assert facepipe("check", "--library", library).code == 0

    add_photos(library, [("ann", 2), ("bob", 1), ("eve", 3)], first=6)
    grown = group(library)
    after = owners(library)
    assert {face: after[face] for face in now} == now
    assert grown["changed_company"] == 0
    assert grown["faces_before"] == len(now)
    assert after[face_id("bob", 6)] == ann, "who is merged goes on growing with the faces of both"
    assert after[face_id("eve", 6)] not in {None, *now.values()}
    rows = {row["person_id"]: row for row in Library.open(library).read("people").to_pylist()}
    assert rows[ann]["name"] == "Ann Other"
    assert rows[new]["hidden"]
    assert new not in {row["person_id"] for row in run(library, "people", "list")["people"]}
    kinds = [row["kind"] for row in run(library, "people", "history")["decisions"]]
    assert kinds == ["name", "merge", "reject", "split", "confirm", "not_a_face", "hide"]
    assert facepipe("check", "--library", library).code == 0


def test_a_rollback_returns_to_a_runs_state_and_can_be_taken_back(library: Path) -> None:
    group(library)
    ann, bob = person(library, "ann"), person(library, "bob")
    named = run(library, "people", "name", ann, "Ann")
    before = owners(library)
    merged = run(library, "people", "merge", bob, ann)
    run(library, "people", "name", bob, "Everybody")
    add_photos(library, [("ann", 1)], first=6)
    group(library)
    together = owners(library)
    assert person(library, "ann", 6) == bob

    run(library, "people", "rollback", named["run_id"][:10])
    assert owners(library) == {**before, face_id("ann", 6): None}
    names = {row["person_id"]: row["name"] for row in Library.open(library).read("people").to_pylist()}
    assert (names[ann], names[bob]) == ("Ann", None)
    group(library)
    assert {face: owner for face, owner in owners(library).items() if face in before} == before
    assert person(library, "ann", 6) == ann

    assert merged["changed_company"] == 6
    rolled = Library.open(library).read("runs").sort_by("finished_at")["run_id"].to_pylist()
    run(library, "people", "rollback", rolled[-3])  # the grouping before the first rollback
    assert owners(library) == together


def test_what_cannot_be_is_one_sentence_and_changes_nothing(library: Path) -> None:
    group(library)
    ann, bob = person(library, "ann"), person(library, "bob")
    run(library, "people", "reject", ann, face_id("bob", 0))
    before = owners(library), Library.open(library).read("decisions")
    for words, message in (
        (["confirm", ann, face_id("bob", 0)], "facepipe: this confirm contradicts the `reject` of 2"),
        (["name", "nobody", "X"], "there is no person 'nobody'"),
        (["split", ann, face_id("bob", 0)], "is not one of"),
        (["rollback", "nothing"], "there is no run 'nothing'"),
    ):
        outcome = facepipe("people", *words, "--library", library)
        assert (outcome.code, len(outcome.err.splitlines())) == (2, 1), words
        assert message in outcome.err, words
    assert (owners(library), Library.open(library).read("decisions")) == before
    assert person(library, "bob") == bob


def test_a_person_is_shown_and_drawn(library: Path, tmp_path: Path) -> None:
    group(library)
    ann = person(library, "ann")
    sheet = tmp_path / "sheet.png"
    shown = run(library, "people", "show", ann[:8], "--sheet", str(sheet))
    assert [face["face_id"] for face in shown["face_list"]] == [
        face["face_id"] for face in sorted(shown["face_list"], key=lambda face: -face["probability"])
    ]
    assert {face["face_id"] for face in shown["face_list"]} == {face_id("ann", number) for number in range(6)}
    with Image.open(sheet) as picture:
        assert picture.width > 6 * 128
        assert len(picture.convert("RGB").crop((8, 34, 136, 162)).resize((4, 4)).getcolors() or ()) == 1, (
            "one flat crop"
        )
    words = facepipe("people", "show", ann, "--library", library)
    assert words.code == 0
    assert "6 faces on 6 photos" in words.out


def test_a_face_is_explained(library: Path) -> None:
    group(library)
    ann = person(library, "ann")
    explained = run(library, "group", "--explain", face_id("ann", 0)[:10] + "-0001")
    members = {face_id("ann", number) for number in range(1, 6)}
    assert explained["person_id"] == ann
    assert {row["face_id"] for row in explained["nearest_members"]} == members
    assert explained["joined_through"]["face_id"] in members
    assert explained["person"]["distance"] < min(row["distance"] for row in explained["others"])
    assert explained["constraints"] == []
    run(library, "people", "reject", ann, face_id("ann", 0))
    group(library)
    (sentence,) = run(library, "group", "--explain", face_id("ann", 0))["constraints"]
    assert f"it is not {ann[:8]}, by the `reject`" in sentence


def test_new_faces_join_without_moving_anybody(library: Path) -> None:
    group(library)
    before = owners(library)
    add_photos(library, [("ann", 2), ("eve", 3), ("dan", 1)], first=10)
    run(library, "people", "hide", person(library, "bob"))
    run(library, "people", "reject", person(library, "cid"), face_id("cid", 3))
    before[face_id("cid", 3)] = None
    assert facepipe("check", "--library", library).code == 0, "a decision groups nobody: new faces still wait"
    grown = group(library, "--incremental")
    after = owners(library)
    assert {face: after[face] for face in before if before[face]} == {f: p for f, p in before.items() if p}
    assert after[face_id("ann", 10)] == after[face_id("ann", 0)]
    assert len({after[face_id("eve", number)] for number in (10, 11, 12)} - {None}) == 1
    assert after[face_id("dan", 0)] == after[face_id("dan", 10)] is not None
    assert grown["changed_company"] == 1
    assert len(Library.open(library).read("neighbors")) == len(after)
    assert facepipe("check", "--library", library).code == 0
