"""Photos of people whose names are known become the faces that a recogniser learns from."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facepipe.config import Config
from facepipe.errors import WrongUsageError
from facepipe.evaluations import photos_in, run_stages
from facepipe.runtime.engine import Engine
from facepipe.sources.uris import uri_to_path
from facepipe.stage import Stage
from facepipe.stages.align_faces import AlignFaces, Crops
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.pick_central_face import PickCentralFace
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.rows import arrays_of
from facepipe.training.face_crops import WIDE_GROW, WIDE_SIZE
from facepipe.training.samples import Samples, SampleWriter

FACES = "faces"  # folder of the samples in a training's folder
_PEOPLE = "people.json"
_ROWS = 256  # written at once


@dataclass(frozen=True)
class LabelledPeople:
    """Faces to learn from.

    Attributes:
        samples: see `training.face_samples.FaceSamples`.
        names: of the people, by their number.
        left_out: photos that can't be learned from, by why.
    """

    samples: Samples
    names: list[str]
    left_out: dict[str, int]


WIDE = Crops(WIDE_SIZE, WIDE_GROW)


def collect_photos(
    images: Sequence[Path], folder: Path, config: Config, engine: Engine, crops: Crops = WIDE
) -> LabelledPeople:
    """Return the central face of each photo in a folder a person; what is in the training's folder is not done again.

    Photos that can't be read, or on which no face is found, are left out and counted.

    Args:
        images: folders that hold a folder a person each; folders of one name are one person's.
        folder: of the training.
        config: settings.
        engine: carries the stages out; closed afterwards.
        crops: WIDE, or such crops of faces that are aligned.

    Raises:
        WrongUsageError: there are no photos, or none has a face; dlib is wanted and isn't installed.
    """
    samples = Samples(folder / FACES)
    if not samples.exists():
        paths = [path for folder_of_people in images for path in photos_in(folder_of_people)]
        stages: list[list[Stage]] = [
            [
                IdentifyFiles(config.decode),
                ReadPhotos(config.decode),
                DetectFaces(config.detect),
                PickCentralFace(config.group.min_score),
                AlignFaces(crops),
            ]
        ]
        failed: list[str] = []
        found = run_stages(paths, stages, ["boxes", "scores", "aligned"], config, engine, failed)
        boxes = np.array([box[0] for box in arrays_of(found["boxes"], 4)]).reshape(-1, 4)
        seen = np.array([scores[0, 0] > 0 for scores in arrays_of(found["scores"], 1)], bool)
        people = [uri_to_path(uri).parent.name for uri in found["uri"].to_pylist()]
        left_out = Counter({"photos that can't be read": len(failed), "photos without a face": int((~seen).sum())})
        if not seen.any():
            raise WrongUsageError(
                f"no face was found on the photos in {', '.join(map(str, images))}: there is nothing to learn from"
            )
        names = sorted({people[row] for row in np.flatnonzero(seen)})
        number = {name: index for index, name in enumerate(names)}
        writer = SampleWriter(folder / FACES)
        rows = np.flatnonzero(seen)
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            wide = [np.frombuffer(found["aligned"][int(row)].as_buffer(), np.uint8) for row in part]
            extent = boxes[part, 2:] - boxes[part, :2] if crops.alignment == "box" else np.ones((len(part), 2))
            writer.append(
                {
                    "wide": np.stack(wide).reshape(-1, WIDE_SIZE, WIDE_SIZE, 3),
                    "aspect": (extent[:, 0] / extent[:, 1]).astype(np.float32),
                    "person": np.array([number[people[row]] for row in part], np.int64),
                }
            )
        (folder / _PEOPLE).write_text(json.dumps({"names": names, "left_out": left_out}))
        writer.finish()
    known = json.loads((folder / _PEOPLE).read_text())
    return LabelledPeople(samples, known["names"], {kind: count for kind, count in known["left_out"].items() if count})
