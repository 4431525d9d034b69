"""Settings, from defaults, a TOML file and `--set key=value`, checked before any work starts."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from facepipe.errors import WrongUsageError


class Section(BaseModel):
    """A table of the configuration file: unknown keys are errors, values are final."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _split_numbers(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


DetectorName = Literal["mtcnn", "hog", "ddfd", "faceness"]
EmbedderName = Literal["facenet", "vggface", "deepface"]
DETECTORS: tuple[str, ...] = get_args(DetectorName)
EMBEDDERS: tuple[str, ...] = get_args(EmbedderName)
MetricName = Literal["cosine", "l2", "chi2", "siamese"]
METRICS: tuple[MetricName, ...] = get_args(MetricName)  # that compare faces by pairs (`evaluation.pair_metrics`)
OWN_WEIGHTS = {"facenet": "facenet-casia-webface"}  # of an embedder; of others the model that bears its name
Probability = Annotated[float, Field(gt=0, lt=1)]


class DecodeConfig(Section):
    """How photos are decoded and what is refused."""

    max_side: int = Field(2048, ge=64, description="photos are decoded so that no side is longer, in pixels")
    max_pixels: int = Field(300_000_000, ge=1, description="larger photos are refused from their header")
    max_bytes: int = Field(1 << 30, ge=1, description="larger files are refused unread")
    timeout_seconds: float = Field(60.0, gt=0, description="a photo whose decoding takes longer is given up")
    max_memory: int = Field(4 << 30, ge=1 << 28, description="address space that decoding a photo may take, in bytes")


class PackConfig(Section):
    """How photos are packed into the library by `ingest --pack`."""

    shard_bytes: int = Field(256 << 20, ge=1, description="photos are packed into files of about so many bytes")


class DetectConfig(Section):
    """How faces are found."""

    detector: DetectorName = Field("mtcnn", description="which detector")
    model: str = Field("", description="its weights, by name in `facepipe models list`; empty: the detector's own")
    min_face: float = Field(20.0, ge=4, description="least height of a face, in pixels of the upright photo")
    thresholds: Annotated[tuple[Probability, Probability, Probability], BeforeValidator(_split_numbers)] = Field(
        (0.6, 0.7, 0.2), description="mtcnn: least scores after P-Net, R-Net and O-Net"
    )
    min_score: float = Field(0.05, ge=0, lt=1, description="least score that hog, ddfd and faceness let pass")
    factor: float = Field(0.709, gt=0.1, lt=1, description="ratio between neighbouring scales of the image pyramid")

    @property
    def weights(self) -> str:
        """The name of the model whose weights are used."""
        return self.model or self.detector


class EmbedConfig(Section):
    """How faces become vectors."""

    embedder: EmbedderName = Field("facenet", description="which kind of network")
    model: str = Field("", description="its weights, by name in `facepipe models list`; empty: the embedder's own")
    centre: bool = Field(True, description="subtract the model's mean embedding, where it has one")
    mirror: bool = Field(False, description="average with the mirrored face: slower, a little more accurate")
    alignment: Literal["", "box", "2d", "3d"] = Field(
        "", description="how faces are aligned: by the box, in the plane, in space; empty: as its weights want it"
    )
    fiducials: Literal["detector", "dlib"] = Field(
        "detector", description="what 2d and 3d go by: the detector's five points, or dlib's 68 (model dlib-68)"
    )
    ten_crops: bool = Field(
        False, description="average over ten crops at three scales, for evaluation: 30 times slower, mirror is included"
    )
    precision: Literal["auto", "float32"] = Field("auto", description="auto: shorter numbers where hardware has them")

    @property
    def weights(self) -> str:
        """The name of the model whose weights are used."""
        return self.model or OWN_WEIGHTS.get(self.embedder, self.embedder)


class GroupConfig(Section):
    """How faces become people. Distances are Euclidean, between unit-length embeddings (0 to 2)."""

    neighbors: int = Field(64, ge=1, description="nearest faces looked at for each face")
    min_score: float = Field(0.9, ge=0, le=1, description="faces scored lower by the detector form no people")
    min_quality: float = Field(0.3, ge=0, le=1, description="faces of lower quality form no people")
    link_distance: float = Field(
        0.945,
        gt=0,
        le=2,
        description="groups join only through two faces nearer than this (closer in large libraries); where it isn't "
        "set, other models than FaceNet's bring their own, and so below",
    )
    average_distance: float = Field(1.0, gt=0, le=2, description="groups farther apart on average never join")
    crowding_weight: float = Field(0.9, ge=0, le=2, description="how far faces that look common must be nearer; 0: no")
    attach_distance: float = Field(0.0, ge=0, le=2, description="those join a person within this; 0: never")


class RuntimeConfig(Section):
    """How the work is spread over the machine or the cluster."""

    batch_rows: int = Field(16, ge=1, le=4096, description="photos that travel together: the unit of work and of files")
    commit_seconds: float = Field(5.0, ge=0, description="time between two commits")


class Config(Section):
    """Everything that can be set."""

    decode: DecodeConfig = DecodeConfig()
    pack: PackConfig = PackConfig()
    detect: DetectConfig = DetectConfig()
    embed: EmbedConfig = EmbedConfig()
    group: GroupConfig = GroupConfig()
    runtime: RuntimeConfig = RuntimeConfig()


def load_config(file: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Return the settings of a TOML file (none: the defaults) with `key=value` overrides applied.

    Args:
        file: TOML with one table a section.
        overrides: such as `detect.min_face=40`; lists are written `0.6,0.7,0.7`.

    Raises:
        WrongUsageError: the file can't be read, a key is unknown or a value is out of range.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise WrongUsageError(f"cannot read the configuration {file}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise WrongUsageError(f"{file} is not valid TOML: {error}") from error
    for override in overrides:
        key, equals, value = override.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and name):
            raise WrongUsageError(f"--set takes section.key=value, such as detect.min_face=40, not {override!r}")
        table = values.setdefault(section, {})
        if not isinstance(table, dict):
            raise WrongUsageError(f"{section!r} in {file} is a value, but should be a table of settings")
        table[name] = value.strip()
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise WrongUsageError(_first_problem(error)) from error


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"][:2])
    if problem["type"] == "extra_forbidden":
        return f"there is no setting {key!r}; the settings are {', '.join(setting_names())}"
    return f"the setting {key!r} can't be {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def setting_names() -> list[str]:
    """Return the full name of each setting, in order of declaration."""
    return [
        f"{section}.{key}"
        for section, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        for key in field.annotation.model_fields
    ]
