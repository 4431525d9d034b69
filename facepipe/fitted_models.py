"""What goes with a model's weights and is fitted to photos: means, cohorts, how faces spread, the generic face."""

from itertools import groupby
from pathlib import Path

import numpy as np

from facepipe.alignment.factorization import shape_of_faces
from facepipe.clustering.crowding import make_cohort
from facepipe.config import Config
from facepipe.errors import WrongUsageError
from facepipe.evaluation.spread_fit import fit_spread
from facepipe.labelled_photos import central_face_stages, embed_central_faces, one_each, photos_in, run_stages
from facepipe.models.cohort import Cohort
from facepipe.models.face_shape import FaceShape
from facepipe.models.face_spread import FaceSpread
from facepipe.runtime.engine import Engine
from facepipe.stage import Stage
from facepipe.stages.align_faces import AlignFaces
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.embed_faces import EmbedFaces
from facepipe.stages.find_fiducials import FindFiducials
from facepipe.stages.group_people import embeddings_of
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.pick_central_face import central_face
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.rows import arrays_of

JUNK_SCORE = 0.5  # what a detector scores lower is hardly ever a face


def mean_of_people(images: Path, config: Config, engine: Engine) -> np.ndarray:
    """Return a model's mean embedding, (D,) float32: the mean over people of the mean over each one's photos.

    So a person of many photos weighs no more than one of few.

    Args:
        images: a folder a person; the central face of each photo counts.
        config: settings.
        engine: carries the stages out; closed afterwards.
    """
    paths = photos_in(images)
    uncentred = config.model_copy(update={"embed": config.embed.model_copy(update={"centre": False})})
    embeddings = embeddings_of(embed_central_faces(paths, uncentred, engine)["embeddings"]).astype(np.float64)
    people, person = np.unique([path.parent.name for path in paths], return_inverse=True)
    sums = np.zeros((len(people), embeddings.shape[1]))
    np.add.at(sums, person, embeddings)
    mean: np.ndarray = (sums / np.bincount(person)[:, None]).mean(axis=0).astype(np.float32)
    return mean


def cohort_of_people(images: Path, size: int, config: Config, engine: Engine) -> Cohort:
    """Return a cohort made of people's faces (`clustering.crowding`).

    Args:
        images: a folder a person; the central face of each one's first photo counts.
        size: how many vectors.
        config: settings.
        engine: carries the stages out; closed afterwards.

    Raises:
        WrongUsageError: there are too few people.
    """
    first_photos = [next(photos) for _, photos in groupby(photos_in(images), key=lambda path: path.parent)]
    if len(first_photos) < 2 * size:
        raise WrongUsageError(
            f"{images} holds {len(first_photos)} people: a cohort of {size} takes at least {2 * size}"
        )
    embeddings = embeddings_of(embed_central_faces(first_photos, config, engine)["embeddings"])
    return Cohort(*make_cohort(embeddings, size))


def spread_of_people(images: Path, config: Config, engine: Engine) -> FaceSpread:
    """Return how a model's faces spread (`evaluation.spread_fit`), and its junk: detections below JUNK_SCORE.

    Args:
        images: a folder a person, who is the central face of each photo.
        config: settings.
        engine: carries the stages out; closed afterwards.

    Raises:
        WrongUsageError: there are too few photos or people.
    """
    paths = photos_in(images)
    stages: list[list[Stage]] = [
        [IdentifyFiles(config.decode), ReadPhotos(config.decode), DetectFaces(config.detect), AlignFaces(config.embed)],
        [EmbedFaces(config.embed)],
    ]
    columns = ["boxes", "scores", "width", "height", "embeddings"]
    found = run_stages(paths, stages, columns, config, engine)
    sizes = np.stack([found["width"].to_numpy(), found["height"].to_numpy()], axis=1).astype(np.float64)
    boxes_of, scores_of = arrays_of(found["boxes"], 4), arrays_of(found["scores"], 1)
    per_photo = zip(paths, sizes, boxes_of, scores_of, arrays_of(found["embeddings"], 1), strict=True)
    central, people, junk = [], [], []
    for path, size, boxes, scores, numbers in per_photo:
        if not len(boxes):
            continue
        embeddings = numbers.reshape(len(boxes), -1)  # (F, D)
        central.append(embeddings[central_face(boxes, scores[:, 0], size, config.group.min_score)])
        people.append(path.parent.name)
        junk.append(embeddings[scores[:, 0] < JUNK_SCORE])
    if not central:
        raise WrongUsageError(f"no face was found on the photos in {images}: a face spread is fitted to faces")
    return fit_spread(np.array(central), np.array(people), np.concatenate(junk))


def shape_of_people(images: Path, config: Config, engine: Engine) -> FaceShape:
    """Return the generic shape of faces (`alignment.factorization`), from 68 points of each photo's central face.

    Args:
        images: a folder a person.
        config: settings.
        engine: carries the stages out; closed afterwards.

    Raises:
        WrongUsageError: dlib is not installed.
        WeightsError: its weights are missing.
        FacepipeError: there are too few faces, or all look one way.
    """
    stages: list[list[Stage]] = [
        [
            IdentifyFiles(config.decode),
            ReadPhotos(config.decode),
            *central_face_stages(config),
            FindFiducials("dlib"),
        ]
    ]
    found = run_stages(photos_in(images), stages, ["scores", "points"], config, engine)
    points = np.concatenate(arrays_of(found["points"], 136)).reshape(-1, 68, 2).astype(np.float64)
    return shape_of_faces(points[one_each(found["scores"]) > 0])
