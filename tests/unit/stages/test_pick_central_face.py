import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.alignment.box_crop import crop_faces
from facepipe.stages.pick_central_face import PickCentralFace, undetected_box
from facepipe.stages.rows import arrays_of, flat_lists


def detected(boxes: list[np.ndarray | None], landmarks: list[np.ndarray | None] | None = None) -> pa.Table:
    scores: list[np.ndarray | None] = [None if b is None else np.linspace(0.9, 0.8, len(b)) for b in boxes]
    n = len(boxes)
    return pa.table(
        {
            "status": [""] * n,
            "message": [""] * n,
            "width": pa.array([250] * n, pa.int32()),
            "height": pa.array([250] * n, pa.int32()),
            "boxes": flat_lists(boxes),
            "scores": flat_lists(scores),
            "landmarks": flat_lists(landmarks or [None] * n),
        },
        schema=pa.schema([*schemas.STATUS, ("width", pa.int32()), ("height", pa.int32()), *schemas.DETECTED_FACES]),
    )


def test_the_face_nearest_the_centre_is_kept() -> None:
    boxes = np.array([[0, 0, 50, 60], [90, 80, 160, 170], [180, 10, 240, 90]])
    picked = PickCentralFace(0.5).open()(detected([boxes]))
    np.testing.assert_allclose(arrays_of(picked["boxes"], 4)[0], [[90, 80, 160, 170]])
    np.testing.assert_allclose(arrays_of(picked["scores"], 1)[0], [[0.85]])


def test_its_landmarks_stay_with_it() -> None:
    boxes = np.array([[0, 0, 50, 60], [90, 80, 160, 170]])
    landmarks = np.arange(20.0).reshape(2, 10)
    picked = PickCentralFace(0.5).open()(detected([boxes, None], [landmarks, None]))
    kept = arrays_of(picked["landmarks"], 10)
    np.testing.assert_array_equal(kept[0], landmarks[1:])
    assert len(kept[1]) == 0


def test_faces_that_are_sure_go_first() -> None:
    boxes = np.array([[0, 0, 50, 60], [90, 80, 160, 170]])  # scores 0.9 and 0.8
    picked = PickCentralFace(0.85).open()(detected([boxes]))
    np.testing.assert_allclose(arrays_of(picked["boxes"], 4)[0], [[0, 0, 50, 60]])
    picked = PickCentralFace(0.95).open()(detected([boxes]))
    np.testing.assert_allclose(arrays_of(picked["boxes"], 4)[0], [[90, 80, 160, 170]])


def test_a_photo_without_a_face_shows_its_centre() -> None:
    picked = PickCentralFace(0.5).open()(detected([None]))
    assert arrays_of(picked["scores"], 1)[0].tolist() == [[0.0]]
    np.testing.assert_allclose(arrays_of(picked["boxes"], 4)[0][0], undetected_box(np.array([250.0, 250.0])))


def test_the_crop_of_an_undetected_face_is_the_central_126_pixels() -> None:
    image = np.zeros((250, 250, 3), np.uint8)
    image[62:188, 62:188] = 255  # 126 x 126
    box = undetected_box(np.array([250.0, 250.0])).astype(np.float32)
    crop = crop_faces(image, box[None], 126)[0]
    assert crop[2:-2, 2:-2].min() == 255
    wider = np.array([[box[0] - 4, box[1] - 4, box[2] + 4, box[3] + 4]], np.float32)
    assert crop_faces(image, wider, 126)[0, 0].max() < 128
