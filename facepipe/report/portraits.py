"""Tables become what the pages show: people in their order, and faces joined with photos, places and pictures."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facepipe.report.crops import file_stem
from facepipe.report.links import Place, place_of, showable


@dataclass(frozen=True)
class Picture:
    """A crop's file: `path` relative to the report's folder, width and height in pixels."""

    path: str
    width: int
    height: int


@dataclass(frozen=True)
class Face:
    """One face on a page.

    Attributes:
        face_id: as in `faces`.
        picture: its crop, or None.
        place: a file that holds the photo, or None where none is known.
        missing: the photo was there once and isn't any more.
        taken_at: when the photo was taken, in local time, or None.
        score: the detector's, 0 to 1.
    """

    face_id: str
    picture: Picture | None
    place: Place | None
    missing: bool
    taken_at: datetime | None
    score: float


@dataclass(frozen=True)
class Person:
    """One person who is shown.

    Attributes:
        person_id: as in `people`.
        label: the name, or `Person N` with N the place in the gallery's order.
        named: a name was given.
        stem: name of the person's page without `.html`.
        faces, photos: counts.
        first, last: when the first and last photo was taken, in local time, or None.
        cover_face_id: as in `people`, or None.
        cover: that face's picture, once `with_covers` has looked it up.
    """

    person_id: str
    label: str
    named: bool
    stem: str
    faces: int
    photos: int
    first: datetime | None
    last: datetime | None
    cover_face_id: str | None
    cover: Picture | None = None


@dataclass(frozen=True)
class FaceRows:
    """All shown faces, joined and sorted, held as columns; rows become `Face`s a page at a time.

    Attributes:
        table: people's faces in the order of people, each by date; then the unassigned ones, highest score first.
        starts: (P + 1,) int64: person i's rows are starts[i] to starts[i + 1]; the unassigned begin at starts[P].
    """

    table: pa.Table
    starts: np.ndarray

    def of_person(self, index: int) -> pa.Table:
        """Return the rows of the person at this place in the order."""
        return self.table.slice(self.starts[index], self.starts[index + 1] - self.starts[index])

    @property
    def unassigned(self) -> pa.Table:
        """Return the rows of faces that belong to nobody."""
        return self.table.slice(self.starts[-1])


def order_people(people: pa.Table) -> list[Person]:
    """Return the people who aren't hidden: most photos first, then most faces, then by person_id."""
    shown = people.filter(pc.invert(pc.fill_null(people["hidden"], fill_value=False)))
    shown = shown.sort_by([("photos", "descending"), ("faces", "descending"), ("person_id", "ascending")])
    return [_person(row, number) for number, row in enumerate(shown.to_pylist(), start=1)]


def _person(row: dict[str, Any], number: int) -> Person:
    name = showable(" ".join((row["name"] or "").split()))
    return Person(
        person_id=row["person_id"],
        label=name or f"Person {number}",
        named=bool(name),
        stem=file_stem(row["person_id"]),
        faces=row["faces"] or 0,
        photos=row["photos"] or 0,
        first=row["first_taken_at"],
        last=row["last_taken_at"],
        cover_face_id=row["cover_face_id"],
    )


def hidden_faces(people: pa.Table, assignments: pa.Table) -> pa.ChunkedArray:
    """Return the face_ids of hidden people: neither their pages nor their crops are written."""
    hidden = people.filter(pc.fill_null(people["hidden"], fill_value=False))["person_id"]
    return assignments.filter(pc.is_in(assignments["person_id"], value_set=hidden))["face_id"]


def join_faces(
    tables: dict[str, pa.Table], people: list[Person], crops: pa.Table, hidden_face_ids: pa.ChunkedArray
) -> FaceRows:
    """Return every shown face with its person, photo, place and picture, sorted for the pages.

    Args:
        tables: with faces, assignments, photos and files.
        people: in the order of the pages.
        crops: rows of `crops.CROPS`.
        hidden_face_ids: faces to leave out.
    """
    faces = tables["faces"].select(["face_id", "photo_id", "score"])
    faces = faces.filter(pc.invert(pc.is_in(faces["face_id"], value_set=hidden_face_ids)))
    ranks = pa.table(
        {
            "person_id": pa.array([person.person_id for person in people], pa.string()),
            "rank": pa.array(range(len(people)), pa.int64()),
        }
    )
    joined = (
        faces.join(tables["assignments"].select(["face_id", "person_id"]), "face_id")
        .join(ranks, "person_id")
        .join(crops, "face_id")
        .join(tables["photos"].select(["photo_id", "taken_at"]), "photo_id")
        .join(_one_place_each(tables["files"]), "photo_id")
    )
    # Whoever has no rank is unassigned, and sorts by score; a person's faces sort by date. Both orders end in face_id,
    # so that equal tables give equal pages.
    rank = pc.fill_null(joined["rank"], len(people))
    joined = joined.set_column(joined.schema.get_field_index("rank"), "rank", rank)
    unassigned = pc.equal(rank, len(people))
    doubt = pc.if_else(unassigned, pc.negate(joined["score"]), pa.scalar(None, pa.float32()))
    when = pc.if_else(unassigned, pa.scalar(None, joined["taken_at"].type), joined["taken_at"])
    joined = joined.append_column("doubt", doubt).append_column("when", when)
    keys = ["rank", "doubt", "when", "uri", "face_id"]
    joined = joined.sort_by([(key, "ascending") for key in keys]).combine_chunks()
    starts = np.searchsorted(joined["rank"].to_numpy(), np.arange(len(people) + 1))  # (P + 1,)
    return FaceRows(joined, starts)


def _one_place_each(files: pa.Table) -> pa.Table:
    """Return photo_id, uri and missing: for each photo a place where it still lies, if there is one."""
    files = files.select(["photo_id", "uri"]).append_column("missing", pc.is_valid(files["missing_since"]))
    files = files.sort_by([("missing", "ascending"), ("uri", "ascending")])
    first = files.group_by("photo_id", use_threads=False).aggregate([("uri", "first"), ("missing", "first")])
    return first.select(["photo_id", "uri_first", "missing_first"]).rename_columns(["photo_id", "uri", "missing"])


def to_faces(rows: pa.Table) -> list[Face]:
    """Return the rows of a `FaceRows` slice as objects, in their order."""
    return [
        Face(
            face_id=row["face_id"],
            picture=Picture(row["image"], row["width"], row["height"]) if row["image"] else None,
            place=place_of(row["uri"]) if row["uri"] else None,
            missing=bool(row["missing"]),
            taken_at=row["taken_at"],
            score=row["score"] if row["score"] is not None else 0.0,
        )
        for row in rows.to_pylist()
    ]


def with_covers(people: list[Person], crops: pa.Table, rows: FaceRows) -> list[Person]:
    """Return the people with their covers: the chosen face's crop, otherwise the first of theirs that has one."""
    wanted = pa.array([person.cover_face_id for person in people], pa.string())
    found = crops.filter(pc.is_in(crops["face_id"], value_set=wanted)).to_pylist()
    chosen = {row["face_id"]: Picture(row["image"], row["width"], row["height"]) for row in found}
    return [
        replace(person, cover=chosen.get(person.cover_face_id or "") or _first_picture(rows.of_person(index)))
        for index, person in enumerate(people)
    ]


def _first_picture(rows: pa.Table) -> Picture | None:
    row = rows.filter(pc.is_valid(rows["image"])).slice(0, 1)
    return to_faces(row)[0].picture if row.num_rows else None
