"""Faces become people: embeddings, copies and decisions in, who is who out."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.clustering.constraints import Known, nothing_known
from facepipe.clustering.crowding import crowding
from facepipe.clustering.grouping import GroupingSettings, group_faces, search_faces
from facepipe.clustering.identities import match_identities
from facepipe.clustering.knn import Neighbors, has_unit_length, nearest_among
from facepipe.clustering.neighbor_search import OpenSearch, Searched, one_shard
from facepipe.config import GroupConfig
from facepipe.duplicates.same_faces import match_faces
from facepipe.library.decisions import Decided, carry_out
from facepipe.library.people_history import known_owners
from facepipe.models.cohort import Cohort
from facepipe.models.distances import distances_of
from facepipe.stages.people_tables import assignments_table

BOX = ("x0", "y0", "x1", "y1")
FACE_COLUMNS = ("face_id", "photo_id", "score", "quality", *BOX, "embedding")
PHOTO_COLUMNS = ("photo_id", "taken_at", "width", "height")


CORE_PROBABILITY = (
    0.9  # faces at least so sure to be somebody of whom users have decided anything stay with nobody else
)


class ToGroup(NamedTuple):
    """N faces of a library, ready to be grouped, in order of face_id.

    Copies of a photo count once: people are made of the faces of other photos and of the best of the copies.

    Attributes:
        face_ids: of all N.
        embeddings: (N, D) float32.
        counted: (C,) int64, rows of the faces that count: no copies, nothing that is no face, no damaged embeddings.
        unusable: (N,) bool, damaged embeddings: no finite vectors of unit length.
        photo_index: (C,) int64.
        votes: (C,) bool, sure and good enough to form people.
        is_new: (N,) bool, the faces to be grouped; all others stay whose they are.
        copies: (P, 2) int64, faces in copies and the same faces in the photos that count.
        told: what is known beforehand.
    """

    face_ids: list[str]
    embeddings: np.ndarray
    counted: np.ndarray
    unusable: np.ndarray
    photo_index: np.ndarray
    votes: np.ndarray
    is_new: np.ndarray
    copies: np.ndarray
    told: "Told"


def grouping_inputs(
    faces: pa.Table,
    keepers: Mapping[str, str],
    config: GroupConfig,
    decisions: Sequence[str] = (),
    batches: Sequence[str] = (),
) -> str:
    """Return a digest of what a grouping depends on: settings, copies, and by their ids faces and decisions.

    Args:
        faces: rows of `faces` with face_id.
        keepers: for each photo that is a copy, the photo_id of the one to count.
        config: settings.
        decisions: their ids.
        batches: ids of those that the faces were embedded in: a face embedded anew is another one.
    """
    digest = hashlib.sha256(config.model_dump_json().encode())
    for face_id in sorted(faces["face_id"].to_pylist()):
        digest.update(face_id.encode())
    for photo_id, keeper in sorted(keepers.items()):
        digest.update(f"{photo_id}>{keeper}".encode())
    for made_by in (*sorted(decisions), *sorted(batches)):
        digest.update(made_by.encode())
    return digest.hexdigest()


def votes_of(scores: np.ndarray, qualities: np.ndarray, config: GroupConfig) -> np.ndarray:
    """Return which faces (N,) are found surely enough, and are of good enough quality, to form people.

    Args:
        scores: (N,) of the detector.
        qualities: (N,), NaN where none could be measured, which counts as good.
        config: settings.
    """
    poor = qualities < config.min_quality  # NaN compares false
    votes: np.ndarray = (scores >= config.min_score) & ~poor
    return votes


def for_model(config: GroupConfig, model: str | None) -> GroupConfig:
    """Return settings with a model's own distances, where they don't say which ones.

    Args:
        config: as the user gave it.
        model: whose embeddings are to be grouped (`embed_faces.embedder_name`); None: there are none. One that isn't
            used as it wants to be has no distances of its own.
    """
    own = None if model is None or " " in model else distances_of(model)
    if own is None:
        return config
    fitted = {"link_distance": own.link, "average_distance": own.average}
    return config.model_copy(update={key: fitted[key] for key in fitted.keys() - config.model_fields_set})


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


def faces_to_group(
    faces: pa.Table,
    photos: pa.Table,
    keepers: Mapping[str, str],
    old_assignments: pa.Table,
    decided: Decided,
    config: GroupConfig,
    incremental: bool = False,
) -> ToGroup:
    """Return what a grouping works on.

    Args:
        faces: rows of `faces` with FACE_COLUMNS.
        photos: rows of `photos` with PHOTO_COLUMNS.
        keepers: for each photo that is a copy, the photo_id of the one to count.
        old_assignments: `assignments` as they are.
        decided: what users have decided.
        config: settings.
        incremental: only faces without an assignment join people or make new ones; whoever has a person keeps it.
    """
    faces = faces.sort_by("face_id")
    face_ids = faces["face_id"].to_pylist()
    embeddings = embeddings_of(faces["embedding"])
    copies = same_faces(faces, photos, keepers)
    told = what_is_told(face_ids, copies, old_assignments, decided, incremental)
    usable = has_unit_length(embeddings)
    is_copy = pc.is_in(faces["photo_id"], value_set=pa.array(sorted(keepers), pa.string())).to_numpy()
    counted = np.flatnonzero(usable & ~is_copy & ~told.excluded)
    grouped_before = set(old_assignments["face_id"].to_pylist()) if incremental else set()
    return ToGroup(
        face_ids,
        embeddings,
        counted,
        ~usable,
        faces["photo_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)[counted],
        votes_of(faces["score"].to_numpy(), faces["quality"].to_numpy(), config)[counted],
        np.array([face not in grouped_before for face in face_ids], np.bool_),
        copies,
        told,
    )


def search_id_of(to_group: ToGroup, config: GroupConfig) -> str:
    """Return a digest of what the search for neighbours depends on."""
    digest = hashlib.sha256(f"{config.neighbors} {config.link_distance}".encode())
    for row in to_group.counted.tolist():
        digest.update(to_group.face_ids[row].encode())
    digest.update(np.ascontiguousarray(to_group.embeddings).data)
    return digest.hexdigest()


def search_people(to_group: ToGroup, config: GroupConfig, open_search: OpenSearch = one_shard) -> Searched:
    """Return the nearest faces of the faces to be grouped, as places in `counted`.

    Args:
        to_group: the faces.
        config: settings.
        open_search: how lists of very many faces are searched.
    """
    return search_faces(
        to_group.embeddings[to_group.counted],
        to_group.photo_index,
        settings_of(config),
        to_group.votes,
        open_search,
        to_group.is_new[to_group.counted],
    )


def group_people(
    to_group: ToGroup,
    searched: Searched,
    old_assignments: pa.Table,
    decided: Decided,
    config: GroupConfig,
    cohort: Cohort | None = None,
) -> pa.Table:
    """Return `assignments`: who is who now, with the ids that people had before.

    A face in a copy is whoever the same face in the photo that counts is; one that only the copy shows stays
    unassigned. So copies make nobody a person, and no face stands nearer to a person because of them.

    Args:
        to_group: the faces.
        searched: from `search_people`.
        old_assignments: `assignments` as they are.
        decided: what users have decided.
        config: settings.
        cohort: of the model that the embeddings come from, where it has one.
    """
    face_ids, counted, is_new, told = to_group.face_ids, to_group.counted, to_group.is_new, to_group.told
    embeddings = to_group.embeddings[counted]
    grouping = group_faces(
        embeddings,
        to_group.photo_index,
        settings_of(config),
        to_group.votes,
        crowding_of(embeddings, config, cohort),
        told.known.of(counted),
        is_new=is_new[counted],
        searched=searched,
    )
    labels, probabilities = np.full(len(face_ids), -1, np.int64), np.zeros(len(face_ids), np.float32)
    labels[counted], probabilities[counted] = grouping.labels, grouping.probabilities
    in_copy, in_keeper = to_group.copies.T
    labels[in_copy], probabilities[in_copy] = labels[in_keeper], probabilities[in_keeper]
    owners = {label: told.people[owner] for label, owner in grouping.owners.items()}
    person_ids = match_identities(known_owners(old_assignments), face_ids, labels, owners)
    who = dict(zip(face_ids, [person_ids[label] if label >= 0 else None for label in labels.tolist()], strict=True))
    who = carry_out(decided, who | {face: owner for face, owner in told.owners.items() if face in who})
    before = dict(zip(*(old_assignments[name].to_pylist() for name in ("face_id", "joined_face_id")), strict=True))
    joined = [None if new else before[face] for face, new in zip(face_ids, is_new.tolist(), strict=True)]
    came = np.flatnonzero(is_new[counted] & (grouping.joined >= 0))
    for row, other in zip(counted[came].tolist(), counted[grouping.joined[came]].tolist(), strict=True):
        joined[row] = face_ids[other]
    return assignments_table(who, probabilities, joined, decided)


class Told(NamedTuple):
    """What is known of N faces before they are grouped.

    Attributes:
        owners: who faces are whatever else holds, by face_id.
        people: person_ids, in the order in which `known` counts owners.
        known: of the N faces.
        excluded: (N,) bool, what is not a face.
    """

    owners: Mapping[str, str]
    people: Sequence[str]
    known: Known
    excluded: np.ndarray


def what_is_told(
    face_ids: Sequence[str], copies: np.ndarray, old_assignments: pa.Table, decided: Decided, incremental: bool
) -> Told:
    """Return what decisions, and where only new faces are grouped the present people, say of N faces.

    People of whom users have decided anything keep the faces surest to be theirs, and are never joined with each other.

    Args:
        face_ids: of the N faces.
        copies: (P, 2) int64, faces in copies and the same faces in the photos that count: what is told of the one holds
            for the other.
        old_assignments: `assignments` as they are.
        decided: what users have decided.
        incremental: whether every face stays whose it is.
    """
    if incremental:
        owned = known_owners(old_assignments)
    else:
        sure = old_assignments.filter(pc.greater_equal(old_assignments["probability"], CORE_PROBABILITY))
        owned = {face: owner for face, owner in known_owners(sure).items() if owner in decided.people}
    owned = {face: owner for face, owner in owned.items() if (face, owner) not in decided.barred} | decided.owners
    people = sorted({*owned.values(), *(person for _, person in decided.barred)})
    number_of = {person: number for number, person in enumerate(people)}
    row_of = {face: row for row, face in enumerate(face_ids)}
    known = nothing_known(len(face_ids))
    excluded = np.array([face in decided.not_faces for face in face_ids], np.bool_)
    for face, owner in owned.items():
        if face in row_of:
            known.owners[row_of[face]] = number_of[owner]
    for copy, keeper in copies.tolist():
        if known.owners[keeper] < 0:
            known.owners[keeper] = known.owners[copy]
        excluded[keeper] |= excluded[copy]
    kept_at = dict(copies.tolist())
    barred = [(row_of[face], number_of[person]) for face, person in decided.barred if face in row_of]
    barred += [(kept_at[row], person) for row, person in barred if row in kept_at]
    return Told(owned, people, known._replace(barred=np.array(barred, np.int64).reshape(-1, 2)), excluded)


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


def neighbors_to_write(to_group: ToGroup, searched: Searched) -> tuple[np.ndarray, Neighbors]:
    """Return the rows (M,) of faces that have neighbours, and these, as rows of all faces.

    Neighbours are faces that count: a face has no copies for neighbours, but copies have neighbours themselves.

    Args:
        to_group: the faces.
        searched: from `search_people`.
    """
    embeddings, counted = to_group.embeddings, to_group.counted
    counts = np.zeros(len(embeddings), np.bool_)
    counts[counted] = True
    others = np.flatnonzero(to_group.is_new & ~counts & ~to_group.unusable)
    found = searched.neighbors
    of_others = nearest_among(embeddings[others], embeddings[counted], found.ids.shape[1])
    rows = np.concatenate([counted[to_group.is_new[counted]], others])
    order = np.argsort(rows)
    ids = np.concatenate([found.ids, of_others.ids])[order]
    similarities = np.concatenate([found.similarities, of_others.similarities])[order]
    return rows[order], Neighbors(counted[ids], similarities)


def embeddings_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of embeddings as (N, D) float32; (0, 0) without rows."""
    joined = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], schemas.VECTOR)
    values = joined.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(joined), -1) if len(joined) else np.zeros((0, 0), np.float32)
