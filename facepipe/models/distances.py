"""How near faces of one person lie by a model's embeddings: what grouping goes by where settings don't say.

They were fitted to people whom the model didn't learn from, when it was trained, and travel in its file's metadata.
"""

from collections.abc import Mapping
from typing import NamedTuple

from facepipe.errors import WeightsError
from facepipe.models.cache import find_record
from facepipe.models.registry import MODELS


class Distances(NamedTuple):
    """Euclidean distances between unit-length embeddings, 0 to 2.

    Attributes:
        link: groups join only through two faces nearer than this, in a library of up to 4,000 faces.
        average: groups farther apart on average never join.
    """

    link: float
    average: float

    def as_metadata(self) -> dict[str, str]:
        """Return what is written into a safetensors file's metadata."""
        return {f"{name}_distance": f"{value:.4f}" for name, value in self._asdict().items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str) -> "Distances | None":
        """Return what a file's metadata tells; None where it tells nothing.

        Raises:
            WeightsError: it tells something that can't be.
        """
        told = [metadata.get(f"{name}_distance") for name in cls._fields]
        if told == [None, None]:
            return None
        try:
            distances = cls(*(float(str(value)) for value in told))
        except ValueError as error:
            raise WeightsError(f"{source} tells distances for grouping that are no numbers: {told}") from error
        if not all(0 < value <= 2 for value in distances):
            raise WeightsError(f"{source} tells distances for grouping out of range (0 to 2): {told}")
        return distances


def distances_of(name: str) -> Distances | None:
    """Return the distances that go with a model; None where none were fitted: those for FaceNet serve then.

    Raises:
        WeightsError: the record of an imported model is unreadable.
        WrongUsageError: the name is none for a model.
    """
    known = MODELS.get(name) or find_record(name)
    return None if known is None or known.distances is None else Distances(*known.distances)
