import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.config import GroupConfig
from facepipe.stages.group_people import FACE_COLUMNS, GroupedPeople, group_people, grouping_inputs

SEED = 31
FACES = pa.schema([schemas.FACES.field(name) for name in FACE_COLUMNS])
LEFT, RIGHT, LOW = (0.1, 0.1, 0.3, 0.4), (0.6, 0.1, 0.8, 0.4), (0.4, 0.7, 0.5, 0.8)

Faces = list[tuple[str, tuple[float, float, float, float]]]  # who, and where as shares of the photo


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
            row = {"face_id": f"{photo_id}-{number:04d}", "photo_id": photo_id, "score": 0.99}
            row |= {
                name: share * size[place % 2]
                for place, (name, share) in enumerate(zip(("x0", "y0", "x1", "y1"), box, strict=True))
            }
            self.faces.append(row | {"embedding": (vector / np.linalg.norm(vector)).tolist()})

    def group(self, keepers: dict[str, str], config: GroupConfig | None = None) -> GroupedPeople:
        columns = [schemas.PHOTOS.field(name) for name in ("photo_id", "taken_at", "width", "height")]
        return group_people(
            pa.Table.from_pylist(self.faces, FACES),
            pa.Table.from_pylist(self.photos, pa.schema(columns)),
            keepers,
            schemas.PEOPLE.empty_table(),
            schemas.ASSIGNMENTS.empty_table(),
            config or GroupConfig(),
            "run",
        )


def people_of(grouped: GroupedPeople) -> dict[str, str | None]:
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
    people = {row["person_id"]: (row["faces"], row["photos"]) for row in grouped.people.to_pylist()}
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
    assert [row["faces"] for row in grouped.people.to_pylist()] == [6]


def test_a_new_copy_is_a_reason_to_group_again() -> None:
    album = Album()
    album.add("a", [("ann", LEFT)])
    faces = pa.Table.from_pylist(album.faces, FACES)
    digests = {grouping_inputs(faces, keepers, GroupConfig()) for keepers in ({}, {"a": "b"}, {"a": "c"})}
    assert len(digests) == 3
