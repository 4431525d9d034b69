"""Rows for small libraries: photos named by a letter, each with some faces."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facepipe.library.data_files import DataFile, write_data_file
from facepipe.library.library import Library
from facepipe.library.writer import Writer
from facepipe.schemas import TABLES

MODIFIED = datetime(2020, 5, 17, 12, 30, 15, 123456, tzinfo=UTC)
DIMENSION = 8


def table_of(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows of a table; columns left out are null."""
    complete = [{field.name: row.get(field.name) for field in TABLES[name]} for row in rows]
    return pa.Table.from_pylist(complete, schema=TABLES[name])


def photo_id_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def uri_of(name: str) -> str:
    return f"file:///photos/{name}.jpg"


def file_rows(*names: str) -> pa.Table:
    rows = [
        {
            "uri": uri_of(name),
            "photo_id": photo_id_of(name),
            "bytes": 1000 + ord(name[0]),
            "modified_at": MODIFIED,
            "media_type": "image/jpeg",
        }
        for name in names
    ]
    return table_of("files", rows)


def error_rows(*names: str, code: str = "truncated", stage: str = "extract") -> pa.Table:
    rows = [
        {
            "uri": uri_of(name),
            "photo_id": photo_id_of(name) if stage == "extract" else None,
            "stage": stage,
            "code": code,
            "message": "the file ends early",
            "at": MODIFIED,
            "bytes": 1000 + ord(name[0]),
            "modified_at": MODIFIED,
        }
        for name in names
    ]
    return table_of("errors", rows)


def face_ids_of(name: str, faces: int) -> list[str]:
    return [f"{photo_id_of(name)}-{ordinal:04d}" for ordinal in range(1, faces + 1)]


def embedding_of(face_id: str) -> list[float]:
    seed = int(hashlib.sha256(face_id.encode()).hexdigest()[:8], 16)
    vector = np.random.default_rng(seed).normal(size=DIMENSION)
    return [float(value) for value in vector / np.linalg.norm(vector)]


def photo_rows(photos: Mapping[str, int], batch_id: str) -> pa.Table:
    rows = [
        {
            "photo_id": photo_id_of(name),
            "width": 640,
            "height": 480,
            "faces": faces,
            "extracted_with": "mtcnn+facenet",
            "batch_id": batch_id,
        }
        for name, faces in photos.items()
    ]
    return table_of("photos", rows)


def face_rows(photos: Mapping[str, int], batch_id: str) -> pa.Table:
    rows = [
        {
            "face_id": face_id,
            "photo_id": photo_id_of(name),
            "x0": 10.5,
            "y0": 20.25,
            "x1": 60.5,
            "y1": 80.75,
            "score": 0.99,
            "landmarks": [float(value) for value in range(10)],
            "crop": b"\xff\xd8",
            "embedding": embedding_of(face_id),
            "batch_id": batch_id,
        }
        for name, faces in photos.items()
        for face_id in face_ids_of(name, faces)
    ]
    return table_of("faces", rows)


def write_batch(library: Library, photos: Mapping[str, int], batch_id: str) -> tuple[list[DataFile], list[DataFile]]:
    """Write a batch's files as a worker does and return those of `faces` and of `photos`, uncommitted."""
    faces = face_rows(photos, batch_id)
    face_files = [write_data_file(library.location, "faces", faces)] if faces.num_rows else []
    return face_files, [write_data_file(library.location, "photos", photo_rows(photos, batch_id))]


def group(library: Library, writer: Writer) -> None:
    """Make a person of each photo's first faces, "Ada", and leave all other faces unassigned."""
    face_ids = sorted(library.read("faces", ["face_id"])["face_id"].to_pylist())
    ada = [face_id for face_id in face_ids if face_id.endswith("-0001")]
    assignments = [
        {"face_id": face_id, "person_id": "ada" if face_id in ada else None, "probability": 1.0, "origin": "auto"}
        for face_id in face_ids
    ]
    writer.replace("assignments", table_of("assignments", assignments))
    person = {"person_id": "ada", "name": "Ada Lovelace", "faces": len(ada), "photos": len(ada), "hidden": False}
    writer.replace("people", table_of("people", [person] if ada else []))


def make_sound_library(path: Path) -> Library:
    """Return a library of two batches (photos a, b; c without faces), one failed file and one person."""
    library = Library.create_or_open(path)
    with library.writer("test") as writer:
        writer.commit_files(file_rows("a", "b", "c", "d"), error_rows("e", code="empty", stage="ingest"))
        writer.commit_batches(*write_batch(library, {"a": 2, "b": 1}, "batch-1"), error_rows("d"))
        writer.commit_batches(*write_batch(library, {"c": 0}, "batch-2"))
        group(library, writer)
    return library
