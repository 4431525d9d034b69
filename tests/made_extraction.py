"""An engine that makes faces up instead of looking at photos: all of an extraction but the networks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.runtime.local import LocalEngine
from facepipe.runtime.stage_group import StageGroup
from facepipe.stage import Stage
from facepipe.stages.rows import flat_lists

DIMENSION = 16
FACE_SIDE = 40


class MadeFace(NamedTuple):
    """A face by its person's name, whose vector lies near an axis of the person's own, and its upper left corner."""

    person: str
    x0: float
    y0: float


class MadeEngine(LocalEngine):
    """Extracts what it is told to find.

    Attributes:
        faces: of each photo, by photo_id.
        failing: photo_ids of photos that can't be read.
        axis: of the first person's vectors: another one is another embedder.
        extracted: photo_ids in the order in which they were asked for.
    """

    def __init__(self, faces: Mapping[str, Sequence[MadeFace]], axis: int = 0) -> None:
        self.faces = faces
        self.failing: set[str] = set()
        self.axis = axis
        self.extracted: list[str] = []

    def run(self, batches: Sequence[pa.Table], groups: Sequence[Sequence[Stage]]) -> Iterator[pa.Table]:
        """Yield the batches as the last stage, which writes files, leaves them."""
        write = StageGroup(groups[-1][-1:], 1)
        for batch in batches:
            photo_ids = batch["photo_id"].to_pylist()
            self.extracted += photo_ids
            yield write(self._embedded(batch, photo_ids))

    def _embedded(self, batch: pa.Table, photo_ids: Sequence[str]) -> pa.Table:
        found = [[] if photo_id in self.failing else sorted(self.faces[photo_id], key=_place) for photo_id in photo_ids]
        count = len(photo_ids)
        boxes = [
            np.array([(face.x0, face.y0, face.x0 + FACE_SIDE, face.y0 + FACE_SIDE) for face in faces])
            for faces in found
        ]
        vectors = [
            np.array([self._vector(face.person, photo_id) for face in faces])
            for photo_id, faces in zip(photo_ids, found, strict=True)
        ]
        columns = {
            "photo_id": batch["photo_id"],
            "uri": batch["uri"],
            "status": ["truncated" if photo_id in self.failing else "" for photo_id in photo_ids],
            "message": ["the file ends early" if photo_id in self.failing else "" for photo_id in photo_ids],
            "width": pa.array([640] * count, pa.int32()),
            "height": pa.array([480] * count, pa.int32()),
            "taken_at": pa.nulls(count, schemas.LOCAL_TIME),
            "camera": pa.nulls(count, pa.string()),
            "latitude": pa.nulls(count, pa.float32()),
            "longitude": pa.nulls(count, pa.float32()),
            "perceptual_hash": pa.nulls(count, pa.binary()),
            "boxes": flat_lists(boxes),
            "scores": flat_lists([np.full(len(faces), 0.99) for faces in found]),
            **{name: flat_lists([None] * count) for name in ("landmarks", "yaws", "pitches", "rolls")},
            **{
                name: flat_lists([np.full(len(faces), 0.9) for faces in found]) for name in ("sharpnesses", "qualities")
            },
            "crops": pa.array([[b"\xff\xd8"] * len(faces) for faces in found], pa.list_(pa.binary())),
            "embeddings": flat_lists(vectors),
        }
        return pa.table(columns)

    def _vector(self, person: str, photo_id: str) -> np.ndarray:
        seed = int(photo_id[:8], 16) + ord(person[0])
        vector = np.random.default_rng(seed).normal(scale=0.05, size=DIMENSION)
        vector[(self.axis + ord(person[0])) % DIMENSION] += 1
        unit: np.ndarray = vector / np.linalg.norm(vector)
        return unit


def _place(face: MadeFace) -> tuple[float, float]:
    return face.y0, face.x0
