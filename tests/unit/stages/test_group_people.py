from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from facepipe import schemas
from facepipe.clustering.knn import Neighbors
from facepipe.clustering.neighbor_search import Searched
from facepipe.config import GroupConfig
from facepipe.library.decisions import Decided, Kind, new_decision
from facepipe.stages.group_people import (
    FACE_COLUMNS,
    ToGroup,
    faces_to_group,
    group_people,
    grouping_inputs,
    neighbors_to_write,
    search_id_of,
    search_people,
)
from facepipe.stages.people_tables import neighbors_found_before, neighbors_tables, people_table

SEED = 31
FACES = pa.schema([schemas.FACES.field(name) for name in FACE_COLUMNS])
LEFT, RIGHT, LOW = (0.1, 0.1, 0.3, 0.4), (0.6, 0.1, 0.8, 0.4), (0.4, 0.7, 0.5, 0.8)

Faces = list[tuple[str, tuple[float, float, float, float]]]  # who, and where as shares of the photo


class Grouped(NamedTuple):
    neighbors: pa.Table
    assignments: pa.Table
    unusable: int


def with_ids(to_group: ToGroup, searched: Searched) -> tuple[np.ndarray, list[str], Neighbors]:
    rows, neighbors = neighbors_to_write(to_group, searched)
    return rows, to_group.face_ids, neighbors


class Album:
    """Photos with faces; each person's faces lie close together around a direction of their own."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(SEED)
        self.directions: dict[str, np.ndarray] = {}
        self.faces: list[dict[str, object]] = []
        self.photos: list[dict[str, object]] = []

    def add(self, photo_id: str, faces: Faces, size: tuple[int, int] = (800, 600)) -> None:
        self.photos.append({"photo_id": photo_id, "taken_at": None, "width": size[0], "height": size[1]})
        for number, (who, box) in enumerate(faces, 1):
            around = self.directions.setdefault(who, self.rng.normal(size=64))
            vector = around / np.linalg.norm(around) + self.rng.normal(size=64) * 0.03
            row = {"face_id": f"{photo_id}-{number:04d}", "photo_id": photo_id, "score": 0.99, "quality": 0.9}
            row |= {
                name: share * size[place % 2]
                for place, (name, share) in enumerate(zip(("x0", "y0", "x1", "y1"), box, strict=True))
            }
            self.faces.append(row | {"embedding": (vector / np.linalg.norm(vector)).tolist()})

    def group(
        self,
        keepers: dict[str, str],
        config: GroupConfig | None = None,
        old: pa.Table | None = None,
        decided: Decided | None = None,
        incremental: bool = False,
    ) -> Grouped:
        faces = pa.Table.from_pylist(self.faces, FACES)
        config, decided = config or GroupConfig(), decided or Decided()
        old = schemas.ASSIGNMENTS.empty_table() if old is None else old
        to_group = faces_to_group(faces, self.photo_rows, keepers, old, decided, config, incremental)
        searched = search_people(to_group, config)
        search_id = search_id_of(to_group, config)
        pieces = neighbors_tables(*with_ids(to_group, searched), search_id)
        neighbors = pa.concat_tables(pieces)
        if not incremental:
            found = neighbors_found_before(neighbors.to_batches(), to_group.face_ids, to_group.counted, search_id)
            assert found is not None, "what was written is found again"
            assert (found.ids == searched.neighbors.ids).all()
            assert (found.similarities == searched.neighbors.similarities).all()
            other = neighbors_found_before(neighbors.to_batches(), to_group.face_ids, to_group.counted, "another")
            assert other is None
        assignments = group_people(to_group, searched, old, decided, config)
        return Grouped(neighbors, assignments, int(to_group.unusable.sum()))

    @property
    def photo_rows(self) -> pa.Table:
        columns = [schemas.PHOTOS.field(name) for name in ("photo_id", "taken_at", "width", "height")]
        return pa.Table.from_pylist(self.photos, pa.schema(columns))

    def people(self, grouped: Grouped) -> list[dict[str, Any]]:
        faces = pa.Table.from_pylist(self.faces, FACES)
        rows: list[dict[str, Any]] = people_table(grouped.assignments, faces, self.photo_rows, Decided()).to_pylist()
        return rows


def people_of(grouped: Grouped) -> dict[str, str | None]:
    rows = grouped.assignments
    return dict(zip(rows["face_id"].to_pylist(), rows["person_id"].to_pylist(), strict=True))


def test_a_photo_and_its_copies_make_no_person() -> None:
    album = Album()
    for photo_id in ("p", "q", "r"):
        album.add(photo_id, [("ann", LEFT)])
    assert set(people_of(album.group({"q": "p", "r": "p"})).values()) == {None}
    assert None not in people_of(album.group({"q": "p"})).values()


def test_a_face_in_a_copy_is_who_it_is_in_the_photo_that_counts() -> None:
    album = Album()
    album.add("a", [("ann", LEFT), ("bob", RIGHT)])
    album.add("b", [("ann", RIGHT)])
    album.add("c", [("bob", LEFT)])
    # The copy's faces come in another order, and an embedder may take one of them for somebody else.
    album.add("small", [("bob", RIGHT), ("bob", LEFT), ("ann", LOW)], (200, 150))
    grouped = album.group({"small": "a"})
    who = people_of(grouped)
    assert who["small-0002"] == who["a-0001"] == who["b-0001"] is not None
    assert who["small-0001"] == who["a-0002"] == who["c-0001"] is not None
    assert who["small-0003"] is None
    people = {row["person_id"]: (row["faces"], row["photos"]) for row in album.people(grouped)}
    assert set(people.values()) == {(3, 3)}


def test_copies_are_nobodys_neighbours_and_have_neighbours_themselves() -> None:
    album = Album()
    for photo_id in ("a", "b", "c"):
        album.add(photo_id, [("ann", LEFT)])
    for number in range(5):
        album.add(f"copy{number}", [("ann", LEFT)])
    grouped = album.group({f"copy{number}": "a" for number in range(5)}, GroupConfig(neighbors=2))
    neighbours = dict(
        zip(grouped.neighbors["face_id"].to_pylist(), grouped.neighbors["neighbor_ids"].to_pylist(), strict=True)
    )
    assert set(neighbours["a-0001"]) == {"b-0001", "c-0001"}
    assert len(neighbours) == 8
    assert all(set(ids) < {"a-0001", "b-0001", "c-0001"} and len(ids) == 2 for ids in neighbours.values())


def test_without_copies_nothing_changes() -> None:
    album = Album()
    for number in range(6):
        album.add(f"photo{number}", [("ann", LEFT), (f"stranger {number}", RIGHT)])
    grouped = album.group({"not here": "neither"})
    assert grouped.assignments.equals(album.group({}).assignments)
    assert [row["faces"] for row in album.people(grouped)] == [6]


def test_a_new_copy_is_a_reason_to_group_again() -> None:
    album = Album()
    album.add("a", [("ann", LEFT)])
    faces = pa.Table.from_pylist(album.faces, FACES)
    digests = {grouping_inputs(faces, keepers, GroupConfig()) for keepers in ({}, {"a": "b"}, {"a": "c"})}
    assert len(digests) == 3


def after(*decisions: tuple[Kind, list[str], list[str]]) -> Decided:
    decided = Decided()
    for kind, faces, people in decisions:
        decided.take(new_decision(kind, faces, people, "Ann" if kind == "name" else ""))
    return decided


def two_people() -> Album:
    album = Album()
    for number in range(4):
        album.add(f"a{number}", [("ann", LEFT)])
        album.add(f"b{number}", [("bob", LEFT)])
    return album


def test_decisions_survive_a_regrouping_from_nothing() -> None:
    album = two_people()
    who = people_of(first := album.group({}))
    ann, bob = who["a0-0001"], who["b0-0001"]
    assert ann
    assert bob
    merged = album.group({}, old=first.assignments, decided=after(("merge", sorted(who), [ann, bob])))
    assert set(people_of(merged).values()) == {ann}
    rejected = people_of(album.group({}, old=first.assignments, decided=after(("reject", ["a3-0001"], [ann]))))
    assert rejected["a3-0001"] != ann
    assert rejected["a0-0001"] == rejected["a1-0001"] == rejected["a2-0001"] == ann
    split = people_of(album.group({}, old=first.assignments, decided=after(("split", ["a2-0001"], [ann, "new"]))))
    assert (split["a2-0001"], split["a0-0001"]) == ("new", ann)
    moved = album.group({}, old=first.assignments, decided=after(("confirm", ["a2-0001"], [bob])))
    assert people_of(moved)["a2-0001"] == bob
    row = next(row for row in moved.assignments.to_pylist() if row["face_id"] == "a2-0001")
    assert (row["probability"], row["origin"]) == (1.0, "user")
    no_face = people_of(album.group({}, old=first.assignments, decided=after(("not_a_face", ["a2-0001"], []))))
    assert no_face["a2-0001"] is None


def test_what_is_said_of_a_copy_holds_for_the_photo_that_counts() -> None:
    album = two_people()
    album.add("copy", [("ann", LEFT)])
    first = album.group({"copy": "a0"})
    bob = people_of(first)["b0-0001"]
    assert bob
    who = people_of(
        album.group({"copy": "a0"}, old=first.assignments, decided=after(("confirm", ["copy-0001"], [bob])))
    )
    assert who["copy-0001"] == who["a0-0001"] == bob
    who = people_of(album.group({"copy": "a0"}, old=first.assignments, decided=after(("reject", ["copy-0001"], [bob]))))
    assert None not in who.values()


def test_people_of_whom_anything_is_decided_are_never_joined() -> None:
    album = Album()
    for number in range(8):
        album.add(f"a{number}", [("ann", LEFT)])
    one = album.group({}).assignments
    halves = one.set_column(1, "person_id", pa.array(["P", "Q"] * 4))
    assert len(set(people_of(album.group({}, old=halves)).values())) == 1
    kept = album.group({}, old=halves, decided=after(("name", [], ["P"]), ("name", [], ["Q"])))
    assert people_of(kept) == dict(zip(halves["face_id"].to_pylist(), halves["person_id"].to_pylist(), strict=True))


@pytest.mark.parametrize("vector", [[float("nan")] * 64, [0.0] * 64])
def test_a_face_without_a_usable_embedding_is_nobody_and_costs_no_other_face(vector: list[float]) -> None:
    album = two_people()
    album.faces[0]["embedding"] = vector
    grouped = album.group({})
    who = people_of(grouped)
    assert who.pop("a0-0001") is None
    assert None not in who.values()
    assert grouped.unusable == 1


def test_new_faces_join_people_or_make_new_ones_and_nobody_else_moves() -> None:
    album = two_people()
    album.add("once", [("cid", LEFT)])
    before = album.group({}).assignments
    album.add("a9", [("ann", LEFT)])
    album.add("c1", [("cid", LEFT)])
    for number in range(3):
        album.add(f"d{number}", [("dan", LEFT)])
    grown = album.group({}, old=before, incremental=True)
    old = dict(zip(before["face_id"].to_pylist(), before["person_id"].to_pylist(), strict=True))
    who = people_of(grown)
    assert {face: who[face] for face in old if face != "once-0001"} == {f: p for f, p in old.items() if p}
    assert who["a9-0001"] == who["a0-0001"]
    assert who["once-0001"] == who["c1-0001"] is not None, "somebody seen once comes to be a person"
    assert len({who[f"d{number}-0001"] for number in range(3)}) == 1
    assert sorted(grown.neighbors["face_id"].to_pylist()) == ["a9-0001", "c1-0001", "d0-0001", "d1-0001", "d2-0001"]


def test_without_new_faces_nothing_moves() -> None:
    album = two_people()
    apart = album.group({}).assignments
    apart = apart.set_column(1, "person_id", pa.array([None] * 8, pa.string()))
    assert set(people_of(album.group({}, old=apart, incremental=True)).values()) == {None}


@pytest.mark.parametrize("measure", [{"score": 0.5}, {"quality": 0.1}])
def test_faces_that_are_unsure_or_poor_form_no_people(measure: dict[str, float]) -> None:
    album = two_people()
    for face in album.faces[:6]:
        face.update(measure)  # of Ann and Bob three each
    assert set(people_of(album.group({})).values()) == {None}
    for face in album.faces:
        face.update(score=0.99, quality=None)
    assert None not in people_of(album.group({})).values(), "a face without a measured quality counts"
