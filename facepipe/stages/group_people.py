"""Faces become people: the tables that a grouping replaces as a whole."""

import hashlib
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.clustering.grouping import Grouping, GroupingSettings, group_faces
from facepipe.clustering.identities import Identities, match_identities
from facepipe.clustering.knn import Neighbors
from facepipe.config import GroupConfig

FACE_COLUMNS = ("face_id", "photo_id", "score", "embedding")


class GroupedPeople(NamedTuple):
    """The outcome of a grouping, as tables."""

    neighbors: pa.Table
    assignments: pa.Table
    people: pa.Table
    lineage: pa.Table


def grouping_inputs(faces: pa.Table, config: GroupConfig) -> str:
    """Return a digest of what a grouping depends on: the faces' ids and the settings."""
    digest = hashlib.sha256(config.model_dump_json().encode())
    for face_id in sorted(faces["face_id"].to_pylist()):
        digest.update(face_id.encode())
    return digest.hexdigest()


def settings_of(config: GroupConfig) -> GroupingSettings:
    """Return the grouping's settings."""
    return GroupingSettings(
        neighbors=config.neighbors,
        link_distance=config.link_distance,
        average_distance=config.average_distance,
        attach_distance=config.attach_distance,
    )


def group_people(
    faces: pa.Table, photos: pa.Table, old_people: pa.Table, old_assignments: pa.Table, config: GroupConfig, run_id: str
) -> GroupedPeople:
    """Return who is who now, with the ids and names that people had before.

    Args:
        faces: rows of `faces` with FACE_COLUMNS.
        photos: rows of `photos` with photo_id and taken_at.
        old_people: `people` as they are.
        old_assignments: `assignments` as they are.
        config: settings.
        run_id: for `lineage`.
    """
    faces = faces.sort_by("face_id")
    face_ids = faces["face_id"].to_pylist()
    embeddings = embeddings_of(faces["embedding"])
    photo_index = faces["photo_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    votes = faces["score"].to_numpy() >= config.min_score
    grouping = group_faces(embeddings, photo_index, settings_of(config), votes)
    old = old_assignments.filter(pc.is_valid(old_assignments["person_id"]))
    past = dict(zip(old["face_id"].to_pylist(), old["person_id"].to_pylist(), strict=True))
    identities = match_identities(past, face_ids, grouping.labels)
    assignments = _assignments(face_ids, grouping, identities)
    return GroupedPeople(
        _neighbors(face_ids, grouping.neighbors),
        assignments,
        _people(assignments, faces, photos, old_people),
        _lineage(identities, run_id),
    )


def embeddings_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of embeddings as (N, D) float32; (0, 0) without rows."""
    joined = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], schemas.VECTOR)
    values = joined.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(joined), -1) if len(joined) else np.zeros((0, 0), np.float32)


def _assignments(face_ids: list[str], grouping: Grouping, identities: Identities) -> pa.Table:
    columns = {
        "face_id": face_ids,
        "person_id": [identities.person_ids[label] if label >= 0 else None for label in grouping.labels],
        "probability": grouping.probabilities,
        "origin": ["auto"] * len(face_ids),
    }
    return pa.table(columns, schema=schemas.ASSIGNMENTS)


def _neighbors(face_ids: list[str], neighbors: Neighbors) -> pa.Table:
    count, k = neighbors.ids.shape
    offsets = pa.array(np.arange(count + 1) * k, pa.int32())
    ids = pa.DictionaryArray.from_arrays(pa.array(neighbors.ids.reshape(-1)), pa.array(face_ids, pa.string()))
    columns = [
        pa.array(face_ids, pa.string()),
        pa.ListArray.from_arrays(offsets, ids.dictionary_decode()),
        pa.ListArray.from_arrays(offsets, pa.array(neighbors.similarities.reshape(-1), pa.float32())),
    ]
    return pa.Table.from_arrays(columns, schema=schemas.NEIGHBORS)


def _people(assignments: pa.Table, faces: pa.Table, photos: pa.Table, old_people: pa.Table) -> pa.Table:
    """Return one row a person: counts, the cover (the face surest to be theirs) and the span of dates."""
    known = assignments.filter(pc.is_valid(assignments["person_id"])).select(["face_id", "person_id", "probability"])
    seen = known.join(faces.select(["face_id", "photo_id"]), "face_id").join(photos, "photo_id")
    totals = seen.group_by("person_id").aggregate(
        [("face_id", "count"), ("photo_id", "count_distinct"), ("taken_at", "min"), ("taken_at", "max")]
    )
    surest = seen.sort_by([("person_id", "ascending"), ("probability", "descending"), ("face_id", "ascending")])
    covers = surest.group_by("person_id", use_threads=False).aggregate([("face_id", "first")])
    kept = old_people.select(["person_id", "name", "hidden"])
    joined = totals.join(covers, "person_id").join(kept, "person_id").sort_by("person_id")
    columns = {
        "person_id": joined["person_id"],
        "name": joined["name"],
        "faces": joined["face_id_count"],
        "photos": joined["photo_id_count_distinct"],
        "cover_face_id": joined["face_id_first"],
        "first_taken_at": joined["taken_at_min"],
        "last_taken_at": joined["taken_at_max"],
        "hidden": pc.fill_null(joined["hidden"], False),
    }
    return pa.table(columns).cast(schemas.PEOPLE)


def _lineage(identities: Identities, run_id: str) -> pa.Table:
    """Return what became of people; a person who simply goes on is no news."""
    rows = [{"run_id": run_id, **row._asdict()} for row in identities.lineage]
    return pa.Table.from_pylist(rows, schema=schemas.LINEAGE)
