"""What one detector finds on photos becomes labels to train another one from (distillation)."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facepipe.config import Config
from facepipe.errors import WrongUsageError
from facepipe.labelled_photos import run_stages
from facepipe.runtime.engine import Engine
from facepipe.sources.photo_names import is_photo_name
from facepipe.stage import Stage
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.rows import arrays_of
from facepipe.training.labels import EDGES

SURE = 0.9  # a detection scored at least so is labelled a face


@dataclass(frozen=True)
class Labelled:
    """How many photos were labelled, and with what.

    Attributes:
        photos: looked at.
        faces: labelled as such.
        ignored: weak detections: neither faces nor background.
    """

    photos: int
    faces: int
    ignored: int


def label_photos(
    images: Path, names: Sequence[str], boxes: Path, landmarks: Path, config: Config, engine: Engine
) -> Labelled:
    """Write the faces that a detector finds on photos as labels (`training.labels`), to train another one from.

    Detections below SURE are marked to be ignored: they are neither faces to learn nor background.

    Args:
        images: the folder.
        names: of the photos, as paths in it.
        boxes: CSV to write.
        landmarks: likewise; with no rows where the detector places none.
        config: settings; `detect.thresholds` decide how weak a detection may be to be ignored.
        engine: carries the stages out; closed afterwards.
    """
    stages: list[list[Stage]] = [[IdentifyFiles(config.decode), ReadPhotos(config.decode), DetectFaces(config.detect)]]
    found = run_stages([images / name for name in names], stages, ["boxes", "scores", "landmarks"], config, engine)
    columns = (arrays_of(found["boxes"], 4), arrays_of(found["scores"], 1), arrays_of(found["landmarks"], 10))
    faces = ignored = 0
    with boxes.open("w", newline="") as box_file, landmarks.open("w", newline="") as point_file:
        box_rows, point_rows = csv.writer(box_file), csv.writer(point_file)
        box_rows.writerow(["image", "face", *EDGES, "ignore"])
        point_rows.writerow(["image", "face", "point", "x", "y"])
        for name, box, score, points in zip(names, *columns, strict=True):
            if not len(box):
                box_rows.writerow([name, "", "", "", "", "", ""])
            for face, edges in enumerate(box):
                sure = bool(score[face, 0] >= SURE)
                box_rows.writerow([name, face, *(f"{edge:.2f}" for edge in edges), "" if sure else "1"])
                faces, ignored = faces + sure, ignored + (not sure)
                if sure and len(points):
                    for point, (x, y) in enumerate(points[face].reshape(5, 2)):
                        point_rows.writerow([name, face, point, f"{x:.2f}", f"{y:.2f}"])
    return Labelled(len(names), faces, ignored)


def photo_names(images: Path) -> list[str]:
    """Return the photos in a folder, at any depth, as paths in it.

    Raises:
        WrongUsageError: there are none.
    """
    names = sorted(str(path.relative_to(images)) for path in images.rglob("*") if is_photo_name(path.name))
    if not names:
        raise WrongUsageError(f"{images} holds no photos")
    return names
