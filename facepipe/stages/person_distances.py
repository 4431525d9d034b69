"""How near faces are to people: to all of a person's faces on average, and to the nearest of them."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from facepipe.clustering.attachment import probability_at, rms_distance
from facepipe.clustering.mst import euclidean
from facepipe.stages.group_people import embeddings_of
from facepipe.stages.rows import arrays_of

COLUMNS = ("face_id", "embedding")  # of `faces`
PEOPLE_SHOWN = 3


class Nearness(NamedTuple):
    """How near a face is to a person. Distances are Euclidean, between unit-length embeddings (0 to 2).

    Attributes:
        person_id: the person.
        distance: the root mean square of the distances to all of the person's faces.
        nearest_face_id: the nearest of them.
        nearest_distance: the distance to it.
        probability: how likely the face is the person's, 0 to 1, from `distance`.
    """

    person_id: str
    distance: float
    nearest_face_id: str
    nearest_distance: float
    probability: float


def nearest_people(
    queries: np.ndarray,
    faces: Iterable[pa.RecordBatch],
    owners: dict[str, str],
    left_out: Collection[str] = (),
) -> list[list[Nearness]]:
    """Return for each query all people, nearest first by `distance`.

    Args:
        queries: (Q, D) float32, unit length.
        faces: all faces with COLUMNS, a batch in memory at a time.
        owners: the person_id of the faces that have one.
        left_out: faces that don't count, such as the query itself.
    """
    people = sorted(set(owners.values()))
    number_of = {person: number for number, person in enumerate(people)}
    sums = np.zeros((len(people), queries.shape[1]))
    counts = np.zeros(len(people))
    best = np.full((len(queries), len(people)), -np.inf)
    best_face: list[dict[int, str]] = [{} for _ in queries]
    for batch in faces:
        ids = batch.column("face_id").to_pylist()
        rows = [row for row, face in enumerate(ids) if face in owners and face not in left_out]
        if not rows:
            continue
        embeddings = embeddings_of(pa.chunked_array([batch.column("embedding").take(pa.array(rows))]))  # (B, D)
        numbers = np.array([number_of[owners[ids[row]]] for row in rows])
        np.add.at(sums, numbers, embeddings)
        counts += np.bincount(numbers, minlength=len(people))
        for query, cosines in enumerate(queries @ embeddings.T):
            order = np.argsort(cosines)  # of a person's faces the most similar comes last, and stays
            most = dict(zip(numbers[order].tolist(), order.tolist(), strict=True))
            for number, at in most.items():
                if cosines[at] > best[query, number]:
                    best[query, number], best_face[query][number] = cosines[at], ids[rows[at]]
    there = np.flatnonzero(counts)
    if not len(there):
        return [[] for _ in queries]
    distances = np.stack(
        [rms_distance(np.tile(query, (len(there), 1)), sums[there] / counts[there, None]) for query in queries]
    )
    nearest, probabilities = euclidean(best[:, there]), probability_at(distances)
    return [
        [
            Nearness(
                people[there[place]],
                float(distances[query, place]),
                best_face[query][int(there[place])],
                float(nearest[query, place]),
                float(probabilities[query, place]),
            )
            for place in np.argsort(distances[query], kind="stable")
        ]
        for query in range(len(queries))
    ]


def people_on_photo(
    photo: pa.Table, faces: Iterable[pa.RecordBatch], owners: dict[str, str], people: pa.Table
) -> list[dict[str, Any]]:
    """Return the faces on a photo and the people nearest to each.

    Args:
        photo: one row with boxes, scores, qualities and embeddings.
        faces: all faces of the library with COLUMNS.
        owners: the person_id of the faces that have one.
        people: all rows of `people`.
    """
    boxes, scores = arrays_of(photo["boxes"], 4)[0], arrays_of(photo["scores"], 1)[0][:, 0]
    qualities = photo["qualities"].to_pylist()[0] or [None] * len(boxes)
    if not len(boxes):
        return []
    names = dict(zip(people["person_id"].to_pylist(), people["name"].to_pylist(), strict=True))
    queries = embeddings_of(photo["embeddings"]).reshape(len(boxes), -1)
    return [
        {
            "box": [float(side) for side in box],
            "score": float(score),
            "quality": quality,
            "people": [{"name": names.get(found.person_id), **found._asdict()} for found in near[:PEOPLE_SHOWN]],
        }
        for box, score, quality, near in zip(
            boxes, scores, qualities, nearest_people(queries, faces, owners), strict=True
        )
    ]
