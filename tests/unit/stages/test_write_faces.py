from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facepipe import schemas
from facepipe.library.library import Library
from facepipe.stages.rows import flat_lists
from facepipe.stages.write_faces import WriteFaces, data_files_of

PHOTOS = ["a" * 64, "b" * 64, "c" * 64, "d" * 64]
MEASURES = {"yaw": "yaws", "pitch": "pitches", "roll": "rolls", "sharpness": "sharpnesses", "quality": "qualities"}
COUNTS = [2, 0, 1, 0]  # faces; the last photo has failed


def batch(with_landmarks: bool) -> pa.Table:
    rng = np.random.default_rng(5)

    def lists(width: int) -> pa.Array:
        return flat_lists([rng.random((count, width)) for count in COUNTS])

    n = len(PHOTOS)
    columns = {
        "photo_id": PHOTOS,
        "uri": [f"file:///{name}" for name in PHOTOS],
        "status": ["", "", "", "truncated"],
        "message": ["", "", "", "cut short"],
        "width": pa.array([100, 100, 100, None], pa.int32()),
        "height": pa.array([80, 80, 80, None], pa.int32()),
        "taken_at": pa.nulls(n, schemas.LOCAL_TIME),
        "camera": pa.nulls(n, pa.string()),
        "latitude": pa.nulls(n, pa.float32()),
        "longitude": pa.nulls(n, pa.float32()),
        "perceptual_hash": pa.nulls(n, pa.binary()),
        "boxes": lists(4),
        "scores": lists(1),
        "landmarks": lists(10) if with_landmarks else flat_lists([None] * n),
        **{name: lists(1) if with_landmarks else flat_lists([None] * n) for name in ("yaws", "pitches", "rolls")},
        "sharpnesses": lists(1),
        "qualities": lists(1),
        "crops": pa.array([[b"x"] * count for count in COUNTS], pa.list_(pa.binary())),
        "embeddings": lists(8),
    }
    return pa.table(columns)


def test_a_batch_is_two_files_and_nothing_is_committed(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    rows = batch(with_landmarks=True)
    written = WriteFaces(library.location, "mtcnn+facenet").open()(rows)
    assert written["faces"].to_pylist() == COUNTS
    assert len(library.read("photos")) == 0
    files = data_files_of(written)
    faces = pq.read_table(Path(library.location) / "tables" / "faces" / files["faces"][0].path)
    photos = pq.read_table(Path(library.location) / "tables" / "photos" / files["photos"][0].path)
    assert faces["face_id"].to_pylist() == [f"{PHOTOS[0]}-0001", f"{PHOTOS[0]}-0002", f"{PHOTOS[2]}-0001"]
    assert [len(item) for item in faces["landmarks"].to_pylist()] == [10, 10, 10]
    for column, lists in MEASURES.items():
        given = [number for row in rows[lists].to_pylist() for number in row]
        assert faces[column].to_pylist() == given
    assert [len(item) for item in faces["embedding"].to_pylist()] == [8, 8, 8]
    assert photos["photo_id"].to_pylist() == PHOTOS[:3]  # the failed one is not among them
    assert photos["faces"].to_pylist() == COUNTS[:3]
    assert set(faces["batch_id"].to_pylist()) == set(photos["batch_id"].to_pylist())
    assert files["faces"][0].num_records == 3


def test_a_repeated_batch_has_another_id(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    write = WriteFaces(library.location, "mtcnn+facenet").open()
    first, second = write(batch(with_landmarks=True)), write(batch(with_landmarks=True))
    assert first["batch_id"][0] != second["batch_id"][0]


def test_a_detector_without_landmarks_leaves_nulls(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    written = WriteFaces(library.location, "hog+facenet").open()(batch(with_landmarks=False))
    path = data_files_of(written)["faces"][0].path
    faces = pq.read_table(Path(library.location) / "tables" / "faces" / path)
    nulls = {name: faces[name].null_count for name in ("landmarks", *MEASURES)}
    assert nulls == {"landmarks": 3, "yaw": 3, "pitch": 3, "roll": 3, "sharpness": 0, "quality": 0}


def test_a_batch_of_failures_writes_nothing(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    written = WriteFaces(library.location, "mtcnn+facenet").open()(batch(with_landmarks=True).slice(3))
    assert data_files_of(written) == {"faces": [], "photos": []}
