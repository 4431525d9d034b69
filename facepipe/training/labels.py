"""Labelled photos for training detectors: where the faces are, and their landmarks, from CSV files.

Boxes: columns `image,x0,y0,x1,y1`, a face a row, in pixels of the upright photo; perhaps `face`, its number there (to
which landmarks refer), and `ignore`, 1 for what is neither to be found nor background. A photo whose row has no
numbers has no faces: all of it is background. Landmarks: columns `image,face,point,x,y`; five points a face
(image-left eye, image-right eye, nose, image-left and -right mouth corner), or the 68 of iBUG, of which five are made.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facepipe.config import DecodeConfig
from facepipe.errors import PhotoError, WrongUsageError
from facepipe.imaging.decode import upright_size

Floats = NDArray[np.float32]

EDGES = ("x0", "y0", "x1", "y1")
POINTS = 5
IBUG_POINTS = 68
# The five as means of points of iBUG's 68: the eyes' outlines, the nose's tip, the mouth's outer corners.
FROM_IBUG = (tuple(range(36, 42)), tuple(range(42, 48)), (30,), (48,), (54,))


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo with labels; all boxes in pixels of the upright photo, clipped to it.

    Attributes:
        path: of the file.
        boxes: (F, 4) float32 `box_xyxy` of its faces.
        landmarks: (F, 5, 2) float32 x, y; NaN for a face whose landmarks aren't known.
        ignored: (I, 4) float32, regions that are neither faces nor background.
    """

    path: Path
    boxes: Floats
    landmarks: Floats
    ignored: Floats


class Labels(NamedTuple):
    """Labelled photos, and what was left out.

    Attributes:
        photos: in order of their names.
        left_out: how many of each kind: `photos that are missing`, `boxes that are empty`, `boxes outside their photo`.
    """

    photos: list[LabelledPhoto]
    left_out: dict[str, int]

    @property
    def faces(self) -> int:
        """The number of faces."""
        return sum(len(photo.boxes) for photo in self.photos)


class _Row(NamedTuple):
    box: tuple[float, ...]  # none for a photo without faces
    face: str
    ignore: bool


def read_labels(images: Path, boxes: Path, landmarks: Path | None = None) -> Labels:
    """Return the labelled photos of a folder.

    A missing photo, an empty box (also one turned inside out) and one outside its photo are left out and counted.

    Args:
        images: the folder with the photos that the labels name.
        boxes: CSV, see above.
        landmarks: CSV, see above; None: no face's landmarks are known.

    Raises:
        WrongUsageError: a file can't be read or lacks a column, a number is none, or nothing is left to learn from.
    """
    rows = _read_boxes(boxes)
    points = {} if landmarks is None else _read_landmarks(landmarks)
    left_out: Counter[str] = Counter()
    photos = []
    for name in sorted(rows):
        size = _size(images / name)
        if size is None:
            left_out["photos that are missing"] += 1
        else:
            photos.append(_labelled(images / name, size, rows[name], points.get(name, {}), left_out))
    labels = Labels(photos, dict(left_out))
    if not rows:
        raise WrongUsageError(f"{boxes} names no photo: it should have a line a face below its first line")
    if not photos:
        raise WrongUsageError(f"none of the {len(rows):,} photos that {boxes} names is in {images}")
    if not labels.faces:
        raise WrongUsageError(f"{boxes} holds no face to learn from: {_sentence(labels.left_out) or 'no box at all'}")
    return labels


def read_boxes(file: Path) -> dict[str, Floats]:
    """Return each photo's boxes (n, 4) float32 as they are, those to be ignored left out.

    Raises:
        WrongUsageError: the file can't be read or lacks a column, a number is none, or there are no boxes.
    """
    truths = {
        name: np.array([row.box for row in rows if row.box and not row.ignore], np.float32).reshape(-1, 4)
        for name, rows in _read_boxes(file).items()
    }
    if not any(map(len, truths.values())):
        raise WrongUsageError(f"{file} holds no boxes: it should be a CSV with the columns image, {', '.join(EDGES)}")
    return truths


def _sentence(left_out: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in left_out.items())


def _labelled(
    path: Path, size: tuple[int, int], rows: list[_Row], points: dict[str, Floats], left_out: Counter[str]
) -> LabelledPhoto:
    edges = (*size, *size)
    boxes, landmarks, ignored = [], [], []
    for row in rows:
        if not row.box:
            continue
        box = [min(max(edge, 0.0), float(limit)) for edge, limit in zip(row.box, edges, strict=True)]
        if row.box[2] <= row.box[0] or row.box[3] <= row.box[1]:
            left_out["boxes that are empty"] += 1
        elif box[2] <= box[0] or box[3] <= box[1]:
            left_out["boxes outside their photo"] += 1
        elif row.ignore:
            ignored.append(box)
        else:
            boxes.append(box)
            landmarks.append(points.get(row.face, np.full((POINTS, 2), np.nan, np.float32)))
    return LabelledPhoto(
        path,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(landmarks, np.float32).reshape(-1, POINTS, 2),
        np.array(ignored, np.float32).reshape(-1, 4),
    )


def _size(path: Path) -> tuple[int, int] | None:
    """Return the width and height of an upright photo; None where there is none, or none that can be read."""
    try:
        return upright_size(path.read_bytes(), DecodeConfig().max_pixels)
    except (OSError, PhotoError):
        return None


def _read_boxes(file: Path) -> dict[str, list[_Row]]:
    rows: dict[str, list[_Row]] = {}
    for line, values in _lines(file, ("image", *EDGES)):
        texts = [values[edge].strip() for edge in EDGES]
        box = tuple(_number(text, file, line) for text in texts) if any(texts) else ()
        of_photo = rows.setdefault(values["image"], [])
        ignore = (values.get("ignore") or "").strip() not in ("", "0")
        of_photo.append(_Row(box, (values.get("face") or str(len(of_photo))).strip(), ignore))
    return rows


def _read_landmarks(file: Path) -> dict[str, dict[str, Floats]]:
    """Return the five landmarks (5, 2) of each face by photo and number."""
    found: dict[tuple[str, str], dict[int, tuple[float, float]]] = {}
    for line, values in _lines(file, ("image", "face", "point", "x", "y")):
        point = int(_number(values["point"], file, line))
        place = _number(values["x"], file, line), _number(values["y"], file, line)
        found.setdefault((values["image"], values["face"].strip()), {})[point] = place
    landmarks: dict[str, dict[str, Floats]] = {}
    for (image, face), points in found.items():
        if sorted(points) not in (list(range(POINTS)), list(range(IBUG_POINTS))):
            raise WrongUsageError(
                f"{file}: face {face} of {image} has {len(points)} points; it should have 0 to 4, or iBUG's 0 to 67"
            )
        places = np.array([points[number] for number in sorted(points)], np.float32)
        if len(places) == IBUG_POINTS:
            places = np.stack([places[list(members)].mean(axis=0) for members in FROM_IBUG])
        landmarks.setdefault(image, {})[face] = places
    return landmarks


def _lines(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the values of each line of a CSV file."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
                raise WrongUsageError(f"{file} has no column {missing[0]!r}: it should have {', '.join(columns)}")
            for values in reader:
                if any(values[name] is None for name in columns):
                    raise WrongUsageError(f"{file}, line {reader.line_num}: it is shorter than the first line")
                yield reader.line_num, values
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongUsageError(f"{file} is not a readable CSV file: {error}") from error


def _number(text: str, file: Path, line: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise WrongUsageError(f"{file}, line {line}: {text!r} is no number")
    return number
