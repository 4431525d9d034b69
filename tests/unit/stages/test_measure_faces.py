import numpy as np
import pyarrow as pa
import pytest

from facepipe import schemas
from facepipe.alignment.pose import MEAN_FACE
from facepipe.models.face_quality import load_quality
from facepipe.stages.measure_faces import MeasureFaces, measure_faces
from facepipe.stages.pixels import PhotoPixels
from facepipe.stages.rows import arrays_of, flat_lists

FACE = MEAN_FACE[:, :2] * 0.8 + [100, 80]  # (5, 2) in the photo
BOX = np.array([45.0, 20.0, 155.0, 150.0])


def photos(with_landmarks: bool = True, scale: float = 1.0) -> pa.Table:
    """Two faces on the first photo, none on the second; the third has failed."""
    image = np.random.default_rng(3).integers(0, 256, (160, 200, 3), dtype=np.uint8)
    full = int(200 / scale)
    boxes = np.stack([BOX, BOX + np.array([10, 0, 10, 0])]) / scale
    landmarks = np.stack([FACE, FACE + np.array([10, 0])]) / scale
    none = [None, None]
    nulls = {field.name: pa.nulls(3, field.type) for field in schemas.DECODED_PHOTO}
    columns = nulls | {
        "status": ["", "", "truncated"],
        "message": ["", "", "cut short"],
        "width": pa.array([full, full, None], pa.int32()),
        "height": pa.array([int(160 / scale), int(160 / scale), None], pa.int32()),
        "pixels": pa.array([image.tobytes(), image.tobytes(), None], pa.large_binary()),
        "pixel_width": pa.array([200, 200, None], pa.int32()),
        "pixel_height": pa.array([160, 160, None], pa.int32()),
        "boxes": flat_lists([boxes, *none]),
        "scores": flat_lists([np.array([0.99, 0.7]), *none]),
        "landmarks": flat_lists([landmarks if with_landmarks else None, *none]),
    }
    return pa.table(columns)


def counts(table: pa.Table, name: str) -> list[int]:
    return [len(numbers) for numbers in arrays_of(table[name], 1)]


def test_each_face_gets_its_numbers() -> None:
    measured = MeasureFaces().open()(photos())
    for name in schemas.MEASURED_FACES.names:
        assert counts(measured, name) == [2, 0, 0]
        assert measured.schema.field(name).type == schemas.VECTOR
    qualities = arrays_of(measured["qualities"], 1)[0][:, 0]
    assert 0 < qualities[1] <= qualities[0] < 1  # the score alone tells them apart
    for name in ("yaws", "pitches", "rolls"):
        np.testing.assert_allclose(arrays_of(measured[name], 1)[0], 0, atol=1e-3)  # they look at the camera


def test_without_landmarks_there_is_no_pose_but_a_quality() -> None:
    measured = MeasureFaces().open()(photos(with_landmarks=False))
    for name in ("yaws", "pitches", "rolls"):
        assert counts(measured, name) == [0, 0, 0]
    assert counts(measured, "qualities") == counts(measured, "sharpnesses") == [2, 0, 0]


def test_faces_are_measured_in_the_pixels_that_were_decoded() -> None:
    full, reduced = MeasureFaces().open()(photos()), MeasureFaces().open()(photos(scale=0.25))
    for name in schemas.MEASURED_FACES.names:
        np.testing.assert_allclose(arrays_of(reduced[name], 1)[0], arrays_of(full[name], 1)[0], atol=1e-4)


def test_no_rows() -> None:
    assert len(MeasureFaces().open()(photos().slice(0, 0))) == 0


def test_a_face_cut_by_the_edge_is_trusted_less() -> None:
    image = np.random.default_rng(3).integers(0, 256, (160, 200, 3), dtype=np.uint8)
    quality = load_quality()
    whole = measure_faces(PhotoPixels(image, 1.0), BOX[None], np.ones(1), FACE[None])
    assert whole["inside"][0] == pytest.approx(1)
    shift = np.array([90, 0])
    cut = measure_faces(
        PhotoPixels(image[:, 90:], 1.0), (BOX - np.tile(shift, 2))[None], np.ones(1), (FACE - shift)[None]
    )
    assert cut["inside"][0] < 0.75
    assert quality(whole | {"inside": cut["inside"]})[0] < quality(whole)[0]
