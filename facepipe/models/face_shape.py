"""The generic shape of a face: 68 points in space, and how far the points that are found on photos usually lie off.

A file holds two tensors: `points`, (68, 3) float32, and `covariance`, (136, 136) float16.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from facepipe.errors import WeightsError

Floats = npt.NDArray[np.float64]

POINTS = 68
SHIPPED = Path(__file__).parent / "weights" / "face-shape.safetensors"


class FaceShape(NamedTuple):
    """A face that is nobody's.

    Attributes:
        points: (68, 3) in iBUG's order, in the frame and unit of `alignment.pose.MEAN_FACE`: millimetres, x to the
            image's right, y down, z away from the camera.
        covariance: (136, 136) of the errors x0, y0, x1, y1, … of points found on photos, in square millimetres.
    """

    points: Floats
    covariance: Floats


def read_shape(path: Path) -> FaceShape:
    """Return the shape in a safetensors file.

    Raises:
        WeightsError: the file can't be read, or holds something else.
    """
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"the face shape {path} can't be read: {error}") from error
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    expected = {"points": (POINTS, 3), "covariance": (2 * POINTS, 2 * POINTS)}
    if shapes != expected or not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise WeightsError(f"{path} is no face shape: it should hold 'points' (68, 3) and 'covariance' (136, 136)")
    return FaceShape(tensors["points"].astype(np.float64), tensors["covariance"].astype(np.float64))


@cache
def shipped_shape() -> FaceShape:
    """Return the shape that ships with the package.

    Raises:
        WeightsError: it can't be read.
    """
    return read_shape(SHIPPED)


def write_shape(path: Path, shape: FaceShape) -> None:
    """Write a shape as `read_shape` expects it."""
    tensors: dict[str, np.ndarray] = {
        "points": shape.points.astype(np.float32),
        "covariance": shape.covariance.astype(np.float16),
    }
    path.write_bytes(safetensors.numpy.save(tensors))
