"""A batch becomes files inside the library's tables, for the driver to commit."""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.library.data_files import DataFile, write_data_file
from facepipe.stage import Resources
from facepipe.stages.rows import arrays_of, flat_lists, with_columns


@dataclass(frozen=True)
class WriteFaces:
    """Writes a batch's rows of `photos` and `faces` as Parquet files that no log names yet.

    The batch id is new at every attempt, so a repeated batch leaves files behind, never rows.
    """

    library: str
    extracted_with: str
    name: ClassVar[str] = "write_faces"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            schemas.PENDING_PHOTO.field("photo_id"),
            *schemas.STATUS,
            *[field for field in schemas.DECODED_PHOTO if field.name not in schemas.PIXELS],
            *schemas.DETECTED_FACES,
            *schemas.MEASURED_FACES,
            schemas.ALIGNED_FACES.field("crops"),
            *schemas.EMBEDDED_FACES,
        ]
    )
    writes: ClassVar[pa.Schema] = schemas.WRITTEN_BATCH
    drops: ClassVar[Sequence[str]] = (
        *[field.name for field in schemas.DECODED_PHOTO if field.name not in schemas.PIXELS],
        *schemas.DETECTED_FACES.names,
        *schemas.MEASURED_FACES.names,
        "crops",
        *schemas.EMBEDDED_FACES.names,
    )
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Return the function for batches."""
        return self._write

    def _write(self, table: pa.Table) -> pa.Table:
        batch_id = str(uuid.uuid4())
        extracted = table.filter(pc.equal(table["status"], ""))
        files: dict[str, Any] = {}
        if len(extracted):
            rows = {
                "faces": face_rows(extracted, batch_id),
                "photos": photo_rows(extracted, batch_id, self.extracted_with),
            }
            files = {name: asdict(write_data_file(self.library, name, rows[name])) for name in rows if len(rows[name])}
        columns: dict[str, list[Any]] = {
            "batch_id": [batch_id] * len(table),
            "faces": [len(scores) for scores in table["scores"].to_pylist()],
            "data_files": [json.dumps(files), *[None] * (len(table) - 1)],
        }
        return with_columns(table, self.writes, columns)


def data_files_of(written: pa.Table) -> dict[str, list[DataFile]]:
    """Return the uncommitted files of written batches, by table."""
    files: dict[str, list[DataFile]] = {"faces": [], "photos": []}
    for text in written["data_files"].to_pylist():
        for name, file in json.loads(text or "{}").items():
            files[name].append(DataFile(**file))
    return files


def photo_rows(table: pa.Table, batch_id: str, extracted_with: str) -> pa.Table:
    """Return the batch's rows of `photos`."""
    count = len(table)
    columns = {field.name: table[field.name] for field in schemas.DECODED_PHOTO if field.name not in schemas.PIXELS} | {
        "photo_id": table["photo_id"]
    }
    columns["faces"] = pa.array([len(scores) for scores in table["scores"].to_pylist()], pa.int32())
    columns["extracted_with"] = pa.array([extracted_with] * count, pa.string())
    columns["batch_id"] = pa.array([batch_id] * count, pa.string())
    return pa.table(columns).select(schemas.PHOTOS.names).cast(schemas.PHOTOS)


def face_rows(table: pa.Table, batch_id: str) -> pa.Table:
    """Return the batch's rows of `faces`, numbered within each photo from 1."""
    counts = [len(scores) for scores in table["scores"].to_pylist()]
    photo_ids = np.repeat(np.array(table["photo_id"].to_pylist(), dtype=object), counts)
    ordinals = [ordinal for count in counts for ordinal in range(1, count + 1)]
    total = len(ordinals)
    boxes = np.concatenate(arrays_of(table["boxes"], 4))  # (F, 4)
    columns = {
        "face_id": [f"{photo_id}-{ordinal:04d}" for photo_id, ordinal in zip(photo_ids, ordinals, strict=True)],
        "photo_id": photo_ids,
        "x0": boxes[:, 0],
        "y0": boxes[:, 1],
        "x1": boxes[:, 2],
        "y1": boxes[:, 3],
        "score": np.concatenate(arrays_of(table["scores"], 1))[:, 0],
        "landmarks": _per_face(table["landmarks"], counts),
        "yaw": _one_a_face(table["yaws"], counts),
        "pitch": _one_a_face(table["pitches"], counts),
        "roll": _one_a_face(table["rolls"], counts),
        "sharpness": _one_a_face(table["sharpnesses"], counts),
        "quality": _one_a_face(table["qualities"], counts),
        "crop": [crop for crops in table["crops"].to_pylist() for crop in crops],
        "embedding": _per_face(table["embeddings"], counts),
        "batch_id": [batch_id] * total,
    }
    return pa.table(columns, schema=schemas.FACES)


def _one_a_face(column: pa.ChunkedArray, counts: Sequence[int]) -> pa.Array:
    """Return one number a face; a photo without values (no landmarks, so no pose) gives nulls."""
    photos = zip(arrays_of(column, 1), counts, strict=True)
    numbers = [flat[:, 0] if len(flat) else np.full(count, np.nan, np.float32) for flat, count in photos]
    return pa.array(np.concatenate(numbers), from_pandas=True)  # NaN becomes null


def _per_face(column: pa.ChunkedArray, counts: Sequence[int]) -> pa.Array:
    """Split each photo's flat list into one list a face; a photo without values (no landmarks) gives nulls."""
    lists: list[np.ndarray | None] = []
    for flat, count in zip(arrays_of(column, 1), counts, strict=True):
        lists += list(flat.reshape(count, -1)) if len(flat) else [None] * count
    array = flat_lists(lists)
    missing = np.array([item is None for item in lists], bool)
    return array if not missing.any() else pa.ListArray.from_arrays(array.offsets, array.values, mask=pa.array(missing))
