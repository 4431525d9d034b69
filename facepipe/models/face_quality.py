"""How far a face's embedding can be trusted, from cheap measures: an additive model whose numbers ship here.

The logit of the quality is an intercept plus one term a measure; a term is a curve of straight pieces between knots,
constant beyond the outermost ones. So it can be read, drawn and evaluated with numpy alone. A file is safetensors, with
`intercept` (1,) and, for each measure, `NAME.knots` (K,), `NAME.values` (K,) and `NAME.typical` (1,), all float64.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from facepipe.errors import WeightsError

Floats = npt.NDArray[np.float64]

SHIPPED = Path(__file__).parent / "weights" / "face-quality.safetensors"
# What quality is made from, each (N,): the detector's score; the look of the pixels (`imaging.quality`); the pose in
# degrees, whatever its direction, and the share within the photo (`alignment.pose`).
MEASURES = ("score", "size", "sharpness", "noise", "contrast", "brightness", "yaw", "pitch", "roll", "inside")


@dataclass(frozen=True)
class Term:
    """What one measure adds to the logit.

    Attributes:
        knots: (K,) float64, ascending values of the measure.
        values: (K,) float64, what is added at each.
        typical: what is added where the measure isn't known: the mean over the faces of the fit.
    """

    knots: Floats
    values: Floats
    typical: float

    def __call__(self, measure: npt.NDArray[np.floating]) -> Floats:
        """Return what each measure (N,) adds, (N,) float64; NaN stands for an unknown one."""
        added: Floats = np.interp(measure, self.knots, self.values)
        return np.where(np.isnan(measure), self.typical, added)


@dataclass(frozen=True)
class FaceQuality:
    """The model.

    Attributes:
        intercept: the logit where all terms are 0.
        terms: one for each of MEASURES.
    """

    intercept: float
    terms: Mapping[str, Term]

    def __call__(self, measures: Mapping[str, npt.NDArray[np.floating]]) -> npt.NDArray[np.float32]:
        """Return faces' qualities, (N,) float32, 0 to 1.

        Args:
            measures: (N,) for each of MEASURES, NaN where not known; angles count without their sign.
        """
        logit = self.intercept + sum(self.terms[name](np.abs(measures[name])) for name in MEASURES)
        quality: npt.NDArray[np.float32] = (1 / (1 + np.exp(-logit))).astype(np.float32)
        return quality


def load_quality(path: Path = SHIPPED) -> FaceQuality:
    """Return the model in a safetensors file: the one that ships, unless another is named.

    Raises:
        WeightsError: the file can't be read, or holds something else.
    """
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"the face quality {path} can't be read: {error}") from error
    names = {"intercept", *(f"{name}.{part}" for name in MEASURES for part in ("knots", "values", "typical"))}
    if set(tensors) != names or not all(_is_finite_row(tensor) for tensor in tensors.values()):
        raise WeightsError(f"{path} is no face quality: `facepipe models quality` writes one")
    terms = {}
    for name in MEASURES:
        knots, values, typical = (tensors[f"{name}.{part}"] for part in ("knots", "values", "typical"))
        if len(knots) != len(values) or len(knots) < 2 or not (np.diff(knots) > 0).all():
            raise WeightsError(f"{path} is no face quality: the knots of {name!r} and their values don't fit together")
        terms[name] = Term(knots, values, float(typical[0]))
    return FaceQuality(float(tensors["intercept"][0]), terms)


def write_quality(path: Path, quality: FaceQuality) -> None:
    """Write a model as `load_quality` expects it."""
    tensors = {"intercept": np.array([quality.intercept])}
    for name, term in quality.terms.items():
        parts = {"knots": term.knots, "values": term.values, "typical": np.array([term.typical])}
        tensors |= {f"{name}.{part}": np.asarray(numbers, np.float64) for part, numbers in parts.items()}
    path.write_bytes(safetensors.numpy.save(tensors))


def _is_finite_row(tensor: np.ndarray) -> bool:
    return tensor.ndim == 1 and len(tensor) > 0 and tensor.dtype == np.float64 and bool(np.isfinite(tensor).all())
