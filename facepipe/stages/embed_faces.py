"""Crops become vectors: one unit-length embedding a face."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.config import EmbedConfig
from facepipe.embedders.embedder import Embedder
from facepipe.models.cache import find_record, tensor_shapes
from facepipe.models.cohort import Cohort, cohort_of
from facepipe.models.mean import mean_embedding
from facepipe.stage import Resources
from facepipe.stages.align_faces import alignment_of, own_alignment
from facepipe.stages.rows import flat_lists, with_columns

EMBEDDER_OF = {"inception_resnet_v1": "facenet", "vgg": "vggface", "deepface": "deepface"}  # by architecture


@dataclass(frozen=True)
class EmbedFaces:
    """Writes the embeddings of all faces of a batch, computed together."""

    embed: EmbedConfig
    name: ClassVar[str] = "embed_faces"
    reads: ClassVar[pa.Schema] = pa.schema([schemas.ALIGNED_FACES.field("aligned")])
    writes: ClassVar[pa.Schema] = schemas.EMBEDDED_FACES
    drops: ClassVar[Sequence[str]] = ("aligned",)
    resources: ClassVar[Resources] = Resources(gpus=0.3)

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Load the embedder's weights and return the function for batches."""
        embedder = load_embedder(self.embed)
        return lambda table: _embed(table, embedder)


def load_embedder(embed: EmbedConfig) -> Embedder:
    """Return the embedder that the settings name, its weights loaded.

    Raises:
        WeightsError: the weights are missing or corrupt.
        WrongUsageError: the model is unknown, or of another embedder.
    """
    from facepipe.embedders.kinds import EMBEDDERS  # seconds, which commands that look at no photo can do without

    return EMBEDDERS[embed.embedder].load(
        embed.weights,
        mirror=embed.mirror,
        ten_crops=embed.ten_crops,
        centre=embed.centre,
        precision=embed.precision,
    )


def embedder_name(embed: EmbedConfig) -> str:
    """Return the name for vectors made with these settings; of different names they can't be compared.

    It is the model's, and in brackets what isn't done as the model wants it.

    Raises:
        WeightsError: the weights, which tell how faces are aligned, are missing.
        WrongUsageError: the model is unknown.
    """
    departures = {
        "not centred": not embed.centre,
        f"aligned {embed.alignment}": bool(embed.alignment) and embed.alignment != own_alignment(embed),
        "points by dlib": embed.fiducials == "dlib" and alignment_of(embed) != "box",
        "ten crops": embed.ten_crops,
    }
    told = ", ".join(words for words, departs in departures.items() if departs)
    return f"{embed.weights} ({told})" if told else embed.weights


def embedders_of(photos: pa.Table) -> list[str]:
    """Return the name of what each photo's faces were embedded with, from its `extracted_with`."""
    return [str(name).rpartition("+")[2] for name in photos["extracted_with"].to_pylist()]


def settings_of_embedder(name: str) -> str:
    """Return the options of the command line for the vectors of a name (`embedder_name`)."""
    model, _, told = name.rstrip(")").partition(" (")
    record = find_record(model)
    embedder = EMBEDDER_OF.get(record.architecture, "facenet") if record is not None else "facenet"
    settings = {"model": model, "centre": "false" if "not centred" in told else "true"}
    if "aligned " in told:
        settings["alignment"] = told.partition("aligned ")[2].partition(",")[0]
    if "points by dlib" in told:
        settings["fiducials"] = "dlib"
    if "ten crops" in told:
        settings["ten_crops"] = "true"
    return " ".join([f"--embedder {embedder}", *(f"--set embed.{key}={value}" for key, value in settings.items())])


def may_be_negative(embed: EmbedConfig) -> bool:
    """Return whether numbers of an embedding may be negative: FaceNet's, projected ones, those less a mean.

    Raises:
        WeightsError: the weights, which tell, are missing.
        WrongUsageError: the model is unknown.
    """
    if embed.embedder == "facenet" or (embed.centre and mean_embedding(embed.weights) is not None):
        return True
    return "projection.weight" in tensor_shapes(embed.weights)


def load_cohort(embed: EmbedConfig) -> Cohort | None:
    """Return the cohort that embeddings of these settings are compared with.

    None where the model has none, and for embeddings of another kind: not centred, or of ten crops.
    """
    return cohort_of(embedder_name(embed))


def _embed(table: pa.Table, embedder: Embedder) -> pa.Table:
    size = embedder.input_size
    crops = [
        np.frombuffer(crop.as_buffer(), np.uint8).reshape(-1, size, size, 3)
        for crop in table["aligned"]
        if crop.is_valid
    ]
    counts = [len(crop.as_buffer()) // (size * size * 3) if crop.is_valid else 0 for crop in table["aligned"]]
    embeddings = embedder.embed(np.concatenate(crops) if crops else np.zeros((0, size, size, 3), np.uint8))  # (F, D)
    per_photo = np.split(embeddings, np.cumsum(counts)[:-1]) if counts else []
    return with_columns(table, schemas.EMBEDDED_FACES, {"embeddings": flat_lists(per_photo)})
