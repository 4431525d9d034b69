from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facepipe.errors import WrongUsageError
from facepipe.training.labels import read_boxes, read_labels


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 50)).save(folder / name)
    turned = Image.new("RGB", (100, 50))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif)
    return folder


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_faces_ignored_regions_and_photos_without_faces(images: Path, tmp_path: Path) -> None:
    boxes = write(
        tmp_path / "boxes.csv",
        "image,x0,y0,x1,y1,ignore",
        "b.png,90,40,110,60,0",
        "b.png,1,2,3,4,1",
        "a.png,,,,,",
        "turned.jpg,10,60,40,90,",
    )
    labels = read_labels(images, boxes)
    a, b, turned = labels.photos
    assert [photo.path.name for photo in labels.photos] == ["a.png", "b.png", "turned.jpg"]
    assert (a.boxes.shape, a.landmarks.shape, a.ignored.shape) == ((0, 4), (0, 5, 2), (0, 4))
    assert b.boxes.tolist() == [[90, 40, 100, 50]], "cut off at the photo's edge"
    assert b.ignored.tolist() == [[1, 2, 3, 4]]
    assert np.isnan(b.landmarks).all()
    assert turned.boxes.tolist() == [[10, 60, 40, 90]], "in pixels of the upright photo, 50 wide and 100 high"
    assert (labels.faces, labels.left_out) == (2, {})
    assert {name: len(rows) for name, rows in read_boxes(boxes).items()} == {"a.png": 0, "b.png": 1, "turned.jpg": 1}


def test_what_is_of_no_use_is_counted(images: Path, tmp_path: Path) -> None:
    (images / "broken.jpg").write_bytes(b"no photo")
    boxes = write(
        tmp_path / "boxes.csv",
        "image,x0,y0,x1,y1",
        "a.png,1,1,20,20",
        "a.png,30,1,20,20",
        "a.png,120,1,140,20",
        "absent.png,1,1,20,20",
        "broken.jpg,1,1,20,20",
    )
    labels = read_labels(images, boxes)
    assert labels.faces == 1
    assert labels.left_out == {
        "boxes that are empty": 1,
        "boxes outside their photo": 1,
        "photos that are missing": 2,
    }


def test_five_landmarks_are_made_of_sixty_eight(images: Path, tmp_path: Path) -> None:
    boxes = write(tmp_path / "boxes.csv", "image,face,x0,y0,x1,y1", "a.png,7,1,1,20,20", "a.png,8,1,1,20,20")
    points = [f"a.png,7,{point},{point},{2 * point}" for point in range(68)]
    labels = read_labels(images, boxes, write(tmp_path / "landmarks.csv", "image,face,point,x,y", *points))
    known, unknown = labels.photos[0].landmarks
    assert known.tolist() == [[38.5, 77], [44.5, 89], [30, 60], [48, 96], [54, 108]]
    assert np.isnan(unknown).all()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["image,x0,y0,x1", "a.png,1,1,20"], "no column 'y1'"),
        (["image,x0,y0,x1,y1", "a.png,1,1,20,wide"], "line 2: 'wide' is no number"),
        (["image,x0,y0,x1,y1", "a.png,1,1,20,nan"], "line 2: 'nan' is no number"),
        (["image,x0,y0,x1,y1", "a.png,1,1"], "line 2: it is shorter"),
        (["image,x0,y0,x1,y1", "c.png,1,1,20,20"], "none of the 1 photos"),
        (["image,x0,y0,x1,y1", "a.png,9,9,2,2"], "no face to learn from: 1 boxes that are empty"),
        (["image,x0,y0,x1,y1", "a.png,,,,"], "no face to learn from: no box at all"),
        (["image,x0,y0,x1,y1"], "no photo"),
    ],
)
def test_files_of_no_use_are_one_sentence(lines: list[str], says: str, images: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError, match=says):
        read_labels(images, write(tmp_path / "boxes.csv", *lines))


def test_landmarks_of_another_kind_are_one_sentence(images: Path, tmp_path: Path) -> None:
    boxes = write(tmp_path / "boxes.csv", "image,face,x0,y0,x1,y1", "a.png,0,1,1,20,20")
    landmarks = write(tmp_path / "landmarks.csv", "image,face,point,x,y", "a.png,0,0,1,1", "a.png,0,1,2,2")
    with pytest.raises(WrongUsageError, match=r"face 0 of a\.png has 2 points"):
        read_labels(images, boxes, landmarks)
    with pytest.raises(WrongUsageError, match="not a readable CSV"):
        read_labels(images, tmp_path / "absent.csv")
