import cv2
import numpy as np
import pytest

from facepipe.detectors.hog.codebook import Codebook, picture_blocks
from facepipe.detectors.hog.model import HogModel
from facepipe.detectors.hog.search import mean_faces
from facepipe.imaging.boxes import iou
from facepipe.imaging.pyramid import Octaves
from facepipe.training.hog import windows as hog_windows
from facepipe.training.hog.windows import (
    NEAR,
    WIDE,
    Shape,
    background_anywhere,
    background_taken_for_faces,
    window_picture,
    windows_near_faces,
    words_of_pictures,
)
from facepipe.training.photos import FacesOnPhoto

SHAPE = Shape(cell=5, cells=10, face_share=0.7)


def photo_with(boxes: list[list[float]], ignored: list[list[float]] | None = None) -> FacesOnPhoto:
    """A dark photo of 200 x 150 px on which faces are bright rectangles."""
    image = np.full((150, 200, 3), 40, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[int(y0) : int(y1), int(x0) : int(x1)] = 220
    return FacesOnPhoto(
        image,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full((len(boxes), 5, 2), np.nan, np.float32),
        np.array(ignored or [], np.float32).reshape(-1, 4),
    )


def model(places: int = 9, words: int = 16) -> HogModel:
    rng = np.random.default_rng(1)
    return HogModel(
        cell=5,
        codebook=Codebook(rng.random((words, 72)).astype(np.float32) / np.float32(8)),
        tables=rng.normal(0, 0.3, (places, places, words)).astype(np.float32),
        bias=0.0,
        box_mean=np.array([0, 0, 0.5, 0.7], np.float32),
        box_tables=np.zeros((places, places, words, 4), np.float32),
    )


def test_a_window_of_the_photos_own_pixels() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (90, 120), dtype=np.uint8)
    found = window_picture(Octaves(grey), np.array([50.0, 40.0]), 1.0, 30, 0.0, 1.0)
    assert (found == grey[25:55, 35:65]).all()
    edge = window_picture(Octaves(grey), np.array([0.0, 0.0]), 1.0, 20, 0.0, 1.0)
    assert (edge[10:, 10:] == grey[:10, :10]).all()
    assert (edge[:10, :10] == grey[0, 0]).all(), "past the photo are its outermost pixels"


@pytest.mark.parametrize("straying", [NEAR, WIDE])
@pytest.mark.parametrize("box", [[60, 40, 100, 92], [20, 10, 40, 34], [90, 20, 190, 140]], ids=str)
def test_a_face_lies_where_its_place_says(straying: hog_windows.Straying, box: list[float]) -> None:
    windows = windows_near_faces(photo_with([box]), SHAPE, 20, straying, 0.0, np.random.default_rng(2))
    assert windows.pictures.shape == (20, 60, 60)
    for picture, (x, y, width, height) in zip(windows.pictures, windows.places, strict=True):
        bright = cv2.boundingRect((picture > 130).astype(np.uint8))
        centre = np.array([30 + 50 * x, 30 + 50 * y])
        assert bright[0] + bright[2] / 2 == pytest.approx(centre[0], abs=1.5)
        assert bright[1] + bright[3] / 2 == pytest.approx(centre[1], abs=1.5)
        assert bright[2:] == pytest.approx((50 * width, 50 * height), abs=2.5)
        assert abs(np.log(height / SHAPE.face_share)) <= np.log(straying.grow) + 1e-6
        assert max(abs(x), abs(y)) <= straying.shift * height + 1e-6


def test_small_faces_teach_nothing() -> None:
    windows = windows_near_faces(photo_with([[10, 10, 25, 29]]), SHAPE, 5, NEAR, 8.0, np.random.default_rng(0))
    assert windows.pictures.shape == (0, 60, 60)
    assert windows.places.shape == (0, 4)
    assert words_of_pictures(windows.pictures, 5, model().codebook).shape == (0, 81)


def test_words_are_those_of_blocks_within_the_frame() -> None:
    windows = windows_near_faces(photo_with([[60, 40, 100, 92]]), SHAPE, 3, WIDE, 8.0, np.random.default_rng(0))
    codebook = model().codebook
    words = words_of_pictures(windows.pictures, 5, codebook)
    for picture, window in zip(windows.pictures, words, strict=True):
        assert (window.reshape(9, 9) == codebook.assign(picture_blocks(picture, 5)[1:-1, 1:-1])).all()


def test_background_holds_neither_faces_nor_ignored_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    faces, ignored = [[60.0, 40.0, 100.0, 92.0]], [[120.0, 30.0, 190.0, 120.0]]
    photo, knows = photo_with(faces, ignored), model()
    looked_at: list[np.ndarray] = []

    def recorded(windows: np.ndarray, of: HogModel) -> np.ndarray:
        looked_at.append(windows)
        return mean_faces(windows, of)

    monkeypatch.setattr(hog_windows, "mean_faces", recorded)
    for words in (
        background_anywhere(photo, knows, 50, np.random.default_rng(3)),
        background_taken_for_faces(photo, knows, 10_000),
    ):
        box = mean_faces(looked_at[-1], knows)
        far = iou(box, photo.boxes).max(axis=1) < 0.3
        assert 0 < len(words) < len(box)
        assert len(words) <= far.sum()
    assert len(background_taken_for_faces(photo, knows, 7)) == 7
    assert background_anywhere(photo_with([]), knows, 3, np.random.default_rng(0)).shape[1] == 81


def test_photos_without_a_window_have_no_background() -> None:
    tiny = FacesOnPhoto(
        np.zeros((8, 9, 3), np.uint8), *(np.empty(shape, np.float32) for shape in ((0, 4), (0, 5, 2), (0, 4)))
    )
    assert background_anywhere(tiny, model(), 3, np.random.default_rng(0)).shape == (0, 81)
    assert background_taken_for_faces(tiny, model(), 3).shape == (0, 81)
