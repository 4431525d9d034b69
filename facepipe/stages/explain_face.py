"""Why a face is whose it is: its nearest company, the likeness that brought it there, and what held it back."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facepipe.clustering.knn import has_unit_length
from facepipe.clustering.mst import euclidean
from facepipe.config import GroupConfig
from facepipe.library.decisions import Decided, Decision
from facepipe.library.people_history import known_owners
from facepipe.stages.group_people import embeddings_of
from facepipe.stages.person_distances import Nearness, nearest_people

MEMBERS_SHOWN = 5
OTHERS_SHOWN = 3


def explain_face(
    face_id: str,
    faces: pa.Table,
    assignments: pa.Table,
    people: pa.Table,
    keepers: Mapping[str, str],
    decided: Decided,
    decisions: Iterable[Decision],
    config: GroupConfig,
) -> dict[str, Any]:
    """Return why a face has the person it has, or none.

    Args:
        face_id: the face.
        faces: all rows of `faces` with face_id, photo_id, score, quality and embedding.
        assignments: all of them.
        people: all of them.
        keepers: for each photo that is a copy, the photo_id of the one that counts.
        decided: what users have decided.
        decisions: all of them.
        config: settings.

    Returns:
        face_id, person_id, name, probability, origin; `joined_through` (face_id and distance of the face whose likeness
        brought it to others, or None); `nearest_members` (face_id, distance) of its person; `person` and `others`, how
        near its own person and the nearest other people are (`Nearness`, with their names); `constraints`, a sentence
        for each thing that kept it from people or bound it to one. Distances are Euclidean, 0 to 2.
    """
    (face,) = faces.filter(pc.equal(faces["face_id"], face_id)).to_pylist()
    assigned = assignments.filter(pc.equal(assignments["face_id"], face_id)).to_pylist()
    nobody = {"person_id": None, "probability": 0.0, "origin": "auto", "joined_face_id": None}
    own: dict[str, Any] = assigned[0] if assigned else nobody
    names = dict(zip(people["person_id"].to_pylist(), people["name"].to_pylist(), strict=True))
    owners = known_owners(assignments)
    query = np.array(face["embedding"], np.float32)[None]
    explained = {
        "face_id": face_id,
        "person_id": own["person_id"],
        "name": names.get(own["person_id"]),
        "probability": own["probability"],
        "origin": own["origin"],
        "joined_through": None,
        "nearest_members": [],
        "person": None,
        "others": [],
        "constraints": _constraints(
            face, own["person_id"], bool(assigned), faces, owners, keepers, decided, decisions, config
        ),
    }
    if not has_unit_length(query)[0]:
        return explained
    near = nearest_people(query, faces.select(["face_id", "embedding"]).to_batches(), owners, {face_id})[0]
    told = [_told(nearness, names) for nearness in near]
    explained["person"] = next((row for row in told if row["person_id"] == own["person_id"]), None)
    explained["others"] = [row for row in told if row["person_id"] != own["person_id"]][:OTHERS_SHOWN]
    members = [member for member, owner in owners.items() if owner == own["person_id"] and member != face_id]
    explained["nearest_members"] = _distances(query, faces, members)[:MEMBERS_SHOWN]
    if own["joined_face_id"]:
        explained["joined_through"] = next(iter(_distances(query, faces, [own["joined_face_id"]])), None)
    return explained


def _told(nearness: Nearness, names: Mapping[str, str | None]) -> dict[str, Any]:
    return {"name": names.get(nearness.person_id), **nearness._asdict()}


def _distances(query: np.ndarray, faces: pa.Table, face_ids: list[str]) -> list[dict[str, Any]]:
    """Return the faces with their distances from the query (1, D), nearest first."""
    rows = faces.filter(pc.is_in(faces["face_id"], value_set=pa.array(face_ids, pa.string())))
    if not len(rows):
        return []
    distances = euclidean(embeddings_of(rows["embedding"]) @ query[0])
    order = np.argsort(distances, kind="stable")
    ids = rows["face_id"].to_pylist()
    return [{"face_id": ids[row], "distance": float(distances[row])} for row in order.tolist()]


def _constraints(
    face: Mapping[str, Any],
    person_id: str | None,
    grouped: bool,
    faces: pa.Table,
    owners: Mapping[str, str],
    keepers: Mapping[str, str],
    decided: Decided,
    decisions: Iterable[Decision],
    config: GroupConfig,
) -> list[str]:
    """Return a sentence for each thing that bound the face or held it back."""
    face_id = face["face_id"]
    found = [] if grouped else ["it is new: no grouping has seen it yet"]
    if not has_unit_length(np.array(face["embedding"], np.float32)[None])[0]:
        found.append("its embedding is damaged: it takes no part until `facepipe extract --redo` has made it anew")
    if face["score"] < config.min_score:
        found.append(
            f"the detector is not sure enough of it ({face['score']:.2f}, below group.min_score {config.min_score:g}): "
            "it forms no people"
        )
    if face["quality"] is not None and face["quality"] < config.min_quality:
        found.append(
            f"its quality is too poor ({face['quality']:.2f}, below group.min_quality {config.min_quality:g}): "
            "it forms no people"
        )
    if face["photo_id"] in keepers:
        found.append(f"its photo is a copy of {keepers[face['photo_id']][:8]}: it is whoever the same face is there")
    in_photo = faces.filter(pc.equal(faces["photo_id"], face["photo_id"]))["face_id"].to_pylist()
    others = sorted({owners[other] for other in in_photo if other != face_id and other in owners})
    if others:
        shown = ", ".join(other[:8] for other in others)
        found.append(f"other faces of its photo are {shown}: two faces in one photo are two people")
    if face_id in decided.not_faces:
        found.append(f"it is no face, by the {decided.not_faces[face_id]}")
    found += [f"it is not {person[:8]}, by the {by}" for (of, person), by in decided.barred.items() if of == face_id]
    if face_id in decided.named_faces:
        found.append(f"it is {decided.owners[face_id][:8]}, by the {decided.named_faces[face_id]}")
    elif face_id in decided.owners:
        found.append(f"it came to {decided.owners[face_id][:8]} with a whole person, by a merge or a rollback")
    if person_id in decided.people:
        about = [decision for decision in decisions if person_id in decision.person_ids]
        last = f", the last time by the {about[-1]}" if about else ""
        found.append(f"something was decided about {str(person_id)[:8]}{last}: nobody else is joined with them")
    return found
