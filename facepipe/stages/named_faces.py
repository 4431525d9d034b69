"""The faces of a library whose people users have told: what a recogniser may learn from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.errors import WrongUsageError
from facepipe.library.decisions import Decided, carry_out
from facepipe.library.library import Library
from facepipe.library.people_history import owners_of, what_is_decided
from facepipe.library.shards import packed_root
from facepipe.stages.find_duplicates import PHOTO_COLUMNS, find_keepers

BOX = ("x0", "y0", "x1", "y1")
FACE_COLUMNS = ("face_id", "photo_id", *BOX, "score", "landmarks")
NAMED_PHOTO = pa.schema([("photo_id", pa.string()), *schemas.DETECTED_FACES, ("people", pa.list_(pa.string()))])


class NamedFaces(NamedTuple):
    """Faces of a library that are known to be somebody's.

    Attributes:
        location: of the library.
        photos: rows of NAMED_PHOTO by photo_id: boxes in pixels of the upright photo, and whose face each is.
        files: the rows of `files` that hold these photos, or held them.
        root: the URI that places of packed copies are relative to.
        copies: photos that are left out, as copies of others that show the same people.
    """

    location: str
    photos: pa.Table
    files: pa.Table
    root: str
    copies: int

    @property
    def digest(self) -> str:
        """Return a digest of which faces of whom they are, whatever files hold them."""
        digest = hashlib.sha256()
        for photo in self.photos.to_pylist():
            digest.update(json.dumps(photo, sort_keys=True).encode())
        return digest.hexdigest()

    def placed(self, places: pa.Table) -> pa.Table:
        """Return rows of `PENDING_PHOTO` with what is known of the faces on each photo."""
        position = pc.index_in(places["photo_id"], value_set=self.photos["photo_id"].combine_chunks())
        for field in list(NAMED_PHOTO)[1:]:
            places = places.append_column(field, self.photos[field.name].take(position))
        return places


def named_faces(library: Library) -> NamedFaces:
    """Return the faces of which a user has said whose they are; the library is only read.

    Of copies of one photo the one to keep counts, where it shows the same people.

    Raises:
        WrongUsageError: there are none.
    """
    names = names_of_faces(what_is_decided(library), owners_of(library.read("assignments")))
    chosen = pc.field("face_id").isin(pa.array(list(names), pa.string()))
    faces = library.read("faces", FACE_COLUMNS, chosen).sort_by("face_id").to_pylist()
    if not faces:
        raise WrongUsageError(
            f"nobody in the library {library.location} is named or confirmed: `facepipe people name P NAME` says who "
            "somebody is"
        )
    files = library.read("files")
    keepers = find_keepers(files, library.read("photos", PHOTO_COLUMNS), library.read("comparisons"))
    seen = {(face["photo_id"], names[face["face_id"]]) for face in faces}
    counted = [face for face in faces if (keepers.get(face["photo_id"]), names[face["face_id"]]) not in seen]
    grouped = groupby(counted, key=lambda face: face["photo_id"])  # face_ids begin with photo_ids
    photos = pa.Table.from_pylist([_photo_row(list(of_photo), names) for _, of_photo in grouped], schema=NAMED_PHOTO)
    holding = files.filter(pc.is_in(files["photo_id"], value_set=photos["photo_id"].combine_chunks()))
    copies = len({face["photo_id"] for face in faces}) - len(photos)
    return NamedFaces(library.location, photos, holding, packed_root(library.storage), copies)


def names_of_faces(decided: Decided, owners: Mapping[str, str | None]) -> dict[str, str]:
    """Return who each face is of which a user has said so: a name, or the person_id of somebody without one.

    These are all faces of people who have a name, and of others those that were spoken of themselves (confirm, split);
    nobody's who is hidden.

    Args:
        decided: what users have decided.
        owners: the person_id of every face that was grouped, None for unassigned.
    """
    names = {}
    for face, owner in carry_out(decided, {**dict.fromkeys(decided.owners), **owners}).items():
        if owner is None or owner in decided.hidden:
            continue
        spoken_of = face in decided.named_faces and decided.owners.get(face) == owner
        if owner in decided.names or spoken_of:
            names[face] = decided.names.get(owner, owner)
    return names


def _photo_row(faces: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> dict[str, Any]:
    landmarks = [face["landmarks"] or [] for face in faces]
    return {
        "photo_id": faces[0]["photo_id"],
        "boxes": [face[edge] for face in faces for edge in BOX],
        "scores": [face["score"] for face in faces],
        "landmarks": [number for points in landmarks for number in points] if all(landmarks) else [],
        "people": [names[face["face_id"]] for face in faces],
    }
