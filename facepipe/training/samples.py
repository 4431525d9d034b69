"""Samples to learn from: equally long arrays in a folder, written row by row and read without loading them."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_TABLE = "samples.json"
Arrays = dict[str, npt.NDArray[Any]]


class SampleWriter:
    """Writes samples into a folder, which appears once all of them are written.

    Args:
        folder: that shall hold them; what an earlier, interrupted writer left is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._types: dict[str, tuple[str, list[int]]] = {}
        self._rows = 0

    def append(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add rows: of each array (N, …), whose names, types and further dimensions stay the same."""
        types = {name: (values.dtype.str, list(values.shape[1:])) for name, values in arrays.items()}
        if self._types and types != self._types:
            raise ValueError(f"rows of {types} don't follow rows of {self._types}")
        self._types = types
        for name, values in arrays.items():
            with (self._partial / name).open("ab") as file:
                file.write(np.ascontiguousarray(values).tobytes())
        self._rows += len(next(iter(arrays.values())))

    def __len__(self) -> int:
        """Return the number of rows so far."""
        return self._rows

    def finish(self) -> "Samples":
        """Put the folder in its place and return what it holds."""
        (self._partial / _TABLE).write_text(json.dumps({"rows": self._rows, "arrays": self._types}))
        self._partial.rename(self._folder)
        return Samples(self._folder)


@dataclass(frozen=True)
class Samples:
    """Samples in a folder; picklable."""

    folder: Path

    def __reduce__(self) -> tuple[type["Samples"], tuple[Path]]:
        """Return what a copy is made of: another process may work in another folder."""
        return Samples, (self.folder.absolute(),)

    def exists(self) -> bool:
        """Return whether they are there, all of them."""
        return (self.folder / _TABLE).exists()

    def arrays(self) -> Arrays:
        """Return the arrays, each mapped into memory."""
        table = json.loads((self.folder / _TABLE).read_text())
        return {
            name: np.memmap(self.folder / name, dtype, "r", shape=(table["rows"], *shape))
            if table["rows"]
            else np.empty((0, *shape), dtype)
            for name, (dtype, shape) in table["arrays"].items()
        }


def with_array(samples: Samples, folder: Path, name: str, values: npt.NDArray[Any]) -> Samples:
    """Return samples in a new folder that share all arrays with others but one.

    Args:
        samples: whose arrays are shared: they must stay where they are.
        folder: that shall hold them; if it is there already, it is left as it is.
        name: of the array that is another.
        values: (N, …) of its type and shape.
    """
    derived = Samples(folder)
    if derived.exists():
        return derived
    folder.mkdir(parents=True, exist_ok=True)
    for other in samples.arrays():
        target = folder / other
        target.unlink(missing_ok=True)
        if other == name:
            target.write_bytes(np.ascontiguousarray(values).tobytes())
        else:
            target.symlink_to((samples.folder / other).absolute())
    shutil.copyfile(samples.folder / _TABLE, folder / _TABLE)
    return derived
