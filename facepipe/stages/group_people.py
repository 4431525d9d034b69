"""Faces become people: the tables that a grouping replaces as a whole."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.clustering.crowding import crowding
from facepipe.clustering.grouping import Grouping, GroupingSettings, group_faces
from facepipe.clustering.identities import Identities, match_identities
from facepipe.clustering.knn import Neighbors, nearest_among
from facepipe.clustering.neighbor_search import OpenSearch, one_shard
from facepipe.config import GroupConfig
from facepipe.duplicates.same_faces import match_faces
from facepipe.models.cohort import Cohort

BOX = ("x0", "y0", "x1", "y1")
FACE_COLUMNS = ("face_id", "photo_id", "score", *BOX, "embedding")
PHOTO_COLUMNS = ("photo_id", "taken_at", "width", "height")


class GroupedPeople(NamedTuple):
    """The outcome of a grouping, as tables, and how well neighbours were found (`clustering.neighbor_search`)."""

    neighbors: pa.Table
    assignments: pa.Table
    people: pa.Table
    lineage: pa.Table
    search: dict[str, float]


def grouping_inputs(faces: pa.Table, keepers: Mapping[str, str], config: GroupConfig) -> str:
    """Return a digest of what a grouping depends on: the faces' ids, which photos are copies, and the settings."""
    digest = hashlib.sha256(config.model_dump_json().encode())
    for face_id in sorted(faces["face_id"].to_pylist()):
        digest.update(face_id.encode())
    for photo_id, keeper in sorted(keepers.items()):
        digest.update(f"{photo_id}>{keeper}".encode())
    return digest.hexdigest()


def same_people(assignments: pa.Table, others: pa.Table) -> bool:
    """Return whether two tables `assignments` give the same faces to the same people, in whatever order."""
    columns = ["face_id", "person_id"]
    return bool(assignments.select(columns).sort_by("face_id").equals(others.select(columns).sort_by("face_id")))


def settings_of(config: GroupConfig) -> GroupingSettings:
    """Return the grouping's settings."""
    return GroupingSettings(
        neighbors=config.neighbors,
        link_distance=config.link_distance,
        average_distance=config.average_distance,
        attach_distance=config.attach_distance,
    )


def crowding_of(embeddings: np.ndarray, config: GroupConfig, cohort: Cohort | None) -> np.ndarray | None:
    """Return what each face's similarities are lowered by, (N,) float64; None without a cohort."""
    if cohort is None or not len(embeddings):
        return None
    return config.crowding_weight * crowding(embeddings, cohort.vectors, cohort.usual)


def group_people(
    faces: pa.Table,
    photos: pa.Table,
    keepers: Mapping[str, str],
    old_people: pa.Table,
    old_assignments: pa.Table,
    config: GroupConfig,
    run_id: str,
    cohort: Cohort | None = None,
    open_search: OpenSearch = one_shard,
) -> GroupedPeople:
    """Return who is who now, with the ids and names that people had before.

    Copies of a photo count once: people are made of the faces of other photos and of the best of the copies. A face in
    a copy is then whoever the same face in the best one is; one that only the copy shows stays unassigned. So copies
    make nobody a person, and no face stands nearer to a person because of them.

    Args:
        faces: rows of `faces` with FACE_COLUMNS.
        photos: rows of `photos` with PHOTO_COLUMNS.
        keepers: for each photo that is a copy, the photo_id of the one to count.
        old_people: `people` as they are.
        old_assignments: `assignments` as they are.
        config: settings.
        run_id: for `lineage`.
        cohort: of the model that the embeddings come from, where it has one.
        open_search: how lists of very many faces are searched.
    """
    faces = faces.sort_by("face_id")
    face_ids = faces["face_id"].to_pylist()
    grouping = _group_counting_copies_once(faces, photos, keepers, config, cohort, open_search)
    old = old_assignments.filter(pc.is_valid(old_assignments["person_id"]))
    past = dict(zip(old["face_id"].to_pylist(), old["person_id"].to_pylist(), strict=True))
    identities = match_identities(past, face_ids, grouping.labels)
    assignments = _assignments(face_ids, grouping, identities)
    return GroupedPeople(
        _neighbors(face_ids, grouping.neighbors),
        assignments,
        _people(assignments, faces, photos, old_people),
        _lineage(identities, run_id),
        {"recall": round(grouping.recall, 4), "probes": grouping.probes},
    )


def _group_counting_copies_once(
    faces: pa.Table,
    photos: pa.Table,
    keepers: Mapping[str, str],
    config: GroupConfig,
    cohort: Cohort | None,
    open_search: OpenSearch,
) -> Grouping:
    """Return the grouping of all faces; neighbours are faces that count, so a face has no copies for neighbours."""
    embeddings = embeddings_of(faces["embedding"])
    photo_index = faces["photo_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    votes = faces["score"].to_numpy() >= config.min_score
    is_copy = pc.is_in(faces["photo_id"], value_set=pa.array(sorted(keepers), pa.string())).to_numpy()
    counted, copied = np.flatnonzero(~is_copy), np.flatnonzero(is_copy)
    crowded = crowding_of(embeddings[counted], config, cohort)
    grouping = group_faces(
        embeddings[counted], photo_index[counted], settings_of(config), votes[counted], crowded, open_search
    )
    if not len(copied):
        return grouping
    labels = np.full(len(faces), -1, np.int64)
    probabilities = np.zeros(len(faces), np.float32)
    labels[counted], probabilities[counted] = grouping.labels, grouping.probabilities
    in_copy, in_keeper = same_faces(faces, photos, keepers).T
    labels[in_copy], probabilities[in_copy] = labels[in_keeper], probabilities[in_keeper]
    neighbors = _all_neighbors(embeddings, counted, copied, grouping.neighbors)
    return grouping._replace(labels=labels, probabilities=probabilities, neighbors=neighbors)


def same_faces(faces: pa.Table, photos: pa.Table, keepers: Mapping[str, str]) -> np.ndarray:
    """Return which faces in copies are which faces in the photos that count: (P, 2) int64 rows of `faces`.

    Args:
        faces: rows of `faces` with FACE_COLUMNS.
        photos: rows of `photos` with PHOTO_COLUMNS.
        keepers: for each photo that is a copy, the photo_id of the one to count.
    """
    wanted = pa.array(sorted({*keepers, *keepers.values()}), pa.string())
    sized = photos.filter(pc.is_in(photos["photo_id"], value_set=wanted))
    columns = (sized[name].to_pylist() for name in ("photo_id", "width", "height"))
    size_of = {
        photo_id: np.array([width, height] * 2, np.float32) for photo_id, width, height in zip(*columns, strict=True)
    }
    boxes = np.stack([faces[name].to_numpy() for name in BOX], axis=1)  # (F, 4)
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, photo_id in enumerate(faces["photo_id"].to_pylist()):
        if photo_id in size_of:
            rows_of[photo_id].append(row)
    pairs = [np.zeros((0, 2), np.int64)]
    for copy, keeper in sorted(keepers.items()):
        if rows_of[copy] and rows_of[keeper]:
            in_copy, in_keeper = np.array(rows_of[copy]), np.array(rows_of[keeper])
            matched = match_faces(boxes[in_copy] / size_of[copy], boxes[in_keeper] / size_of[keeper])
            pairs.append(np.stack([in_copy[matched[:, 0]], in_keeper[matched[:, 1]]], axis=1))
    return np.concatenate(pairs)


def _all_neighbors(embeddings: np.ndarray, counted: np.ndarray, copied: np.ndarray, of_counted: Neighbors) -> Neighbors:
    """Return the neighbours of all faces; all have as many as the faces that count."""
    k = of_counted.ids.shape[1]
    ids = np.empty((len(embeddings), k), np.int64)
    similarities = np.empty((len(embeddings), k), np.float32)
    of_copied = nearest_among(embeddings[copied], embeddings[counted], k)
    ids[counted], similarities[counted] = counted[of_counted.ids], of_counted.similarities
    ids[copied], similarities[copied] = counted[of_copied.ids], of_copied.similarities
    return Neighbors(ids, similarities)


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
