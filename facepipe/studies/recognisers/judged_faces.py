"""The faces that recognisers are judged by: each photo's central one, cut as a network wants it, as it is or worn."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from PIL import Image

from facepipe.config import Config
from facepipe.labelled_photos import central_face_stages, photos_in, run_stages
from facepipe.models.cache import publish
from facepipe.runtime.engine import Engine
from facepipe.sources.uris import path_to_uri
from facepipe.stage import Stage
from facepipe.stages.align_faces import AlignFaces, Crops
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.recall_faces import RecallFaces
from facepipe.stages.rows import arrays_of
from facepipe.training.face_crops import Wear
from facepipe.training.samples import Samples, SampleWriter

_ROWS = 256  # written at once


@dataclass(frozen=True)
class JudgedFaces:
    """Photos of people, and the central face of each.

    Attributes:
        images: a folder a person.
        found: their central faces (`labelled_photos.find_central_faces`).
        folder: for what is made of them; what is there already is not made again.
        config: settings.
        open_engine: opens what carries stages out.
    """

    images: Path
    found: Path
    folder: Path
    config: Config
    open_engine: Callable[[], Engine]

    @cached_property
    def names(self) -> list[str]:
        """Photos as pairs call them, `NAME/NAME_0001`, in the order of all arrays."""
        return [f"{path.parent.name}/{path.stem}" for path in photos_in(self.images)]

    def crops(self, crops: Crops, wear: Wear) -> npt.NDArray[np.uint8]:
        """Return each photo's central face (N, S, S, 3) uint8 RGB, of the photo as it is or worn as a whole.

        A photo without a face shows its central part.
        """
        told = (*crops.grow, wear.grey, wear.height, wear.quality)
        kind = "-".join([crops.alignment, crops.fiducials, str(crops.size), *map(str, told)])
        samples = Samples(self.folder / kind)
        if not samples.exists():
            paths = photos_in(self.images)
            find: list[Stage] = [RecallFaces(self.found)]
            if not wear.does_nothing:
                paths = [self._worn(path, box, wear) for path, box in zip(paths, self._boxes(paths), strict=True)]
                find = central_face_stages(self.config)
            decode = self.config.decode
            stages: list[list[Stage]] = [[IdentifyFiles(decode), ReadPhotos(decode), *find, AlignFaces(crops)]]
            found = run_stages(paths, stages, ["aligned"], self.config, self.open_engine())
            writer = SampleWriter(samples.folder)
            for start in range(0, len(found), _ROWS):
                cut = [np.frombuffer(crop.as_buffer(), np.uint8) for crop in found["aligned"][start : start + _ROWS]]
                writer.append({"crop": np.stack(cut).reshape(-1, crops.size, crops.size, 3)})
            writer.finish()
        return samples.arrays()["crop"]

    def _boxes(self, paths: Sequence[Path]) -> list[npt.NDArray[np.float32]]:
        """Return where each photo's central face lies, (4,) each."""
        found = pq.read_table(self.found, columns=["uri", "boxes"])
        box_of = dict(zip(found["uri"].to_pylist(), arrays_of(found["boxes"], 4), strict=True))
        return [box_of[path_to_uri(path)][0] for path in paths]

    def _worn(self, path: Path, box: npt.NDArray[np.float32], wear: Wear) -> Path:
        """Return where a photo lies as an archive would have kept it (`wear_photo`)."""
        target = self.folder / f"photos-{wear.grey}-{wear.height}-{wear.quality}" / path.parent.name / path.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(path) as photo:
                publish(target, wear_photo(photo, float(box[3] - box[1]), wear))
        return target


def wear_photo(photo: Image.Image, face_height: float, wear: Wear) -> bytes:
    """Return a photo as an archive would have kept it, as a JPEG.

    Args:
        photo: of any mode.
        face_height: of its face, in pixels: by it the photo is shrunk, never enlarged.
        wear: what is done.
    """
    worn = photo.convert("L" if wear.grey else "RGB")
    if wear.height is not None and face_height > wear.height:
        width, height = (max(1, round(side * wear.height / face_height)) for side in worn.size)
        worn = worn.resize((width, height), Image.Resampling.BOX)
    file = io.BytesIO()
    worn.save(file, "JPEG", quality=95 if wear.quality is None else wear.quality)
    return file.getvalue()
