"""The faceness of windows: how far the responses of a face's parts lie where such parts lie in a face.

Source: Yang, Luo, Loy and Tang 2015, section 3.2: for each part, the response within the part's region of the window
against that in the rest of the window, from integral images; parts are summed, so that a face still counts whose other
parts are covered.

Departs from the paper: a part's region is any rectangle of the window rather than one of a few bands, and the ratios'
logarithms are summed, each with a weight of its own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Responses = NDArray[np.floating]


@dataclass(frozen=True)
class Arrangement:
    """Where parts lie in a window, and how much each says.

    Attributes:
        regions: (5, 4) in the order of PARTS: x0, y0, x1, y1 in units of the window's width and height.
        weights: (5,) of each part's log ratio.
        bias: of the sum, so that the sum's logistic function is the probability of a face.
        floor: response that is added above and below the line of a ratio: what less says is noise.
    """

    regions: Floats
    weights: Floats
    bias: float
    floor: float

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return it as tensors, as they are stored."""
        scale = torch.tensor([*self.weights.tolist(), self.bias, self.floor], dtype=torch.float32)
        return {"regions": torch.from_numpy(self.regions).float(), "scale": scale}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> "Arrangement":
        """Return what `tensors` gave."""
        scale = tensors["scale"].double().numpy()
        return cls(tensors["regions"].double().numpy(), scale[:-2], float(scale[-2]), float(scale[-1]))


def faceness(responses: Responses, arrangement: Arrangement, width: float, height: float) -> Floats:
    """Return the faceness of each window of one size that lies within the response maps.

    Args:
        responses: (5, H, W) of the parts, 0 to 1, a cell each.
        arrangement: of the parts.
        width: of the windows, in cells, perhaps between two whole numbers.
        height: likewise.

    Returns:
        (rows, columns): of the window whose upper left corner is that of cell (row, column); rows is
        floor(H - height) + 1, columns likewise; none where no window fits.
    """
    sums = integral(responses)
    ratios = [
        log_ratio(of_part, region, width, height, arrangement.floor)
        for of_part, region in zip(sums, arrangement.regions, strict=True)
    ]
    total: Floats = np.tensordot(arrangement.weights, np.stack(ratios), 1) + arrangement.bias
    return total


def integral(responses: Responses) -> Floats:
    """Return the integral images (P, H + 1, W + 1) of response maps (P, H, W): sums of all above and to the left."""
    parts, height, width = responses.shape
    sums = np.zeros((parts, height + 1, width + 1))
    np.cumsum(np.cumsum(responses, axis=1, dtype=np.float64), axis=2, out=sums[:, 1:, 1:])
    return sums


def log_ratio(sums: Floats, region: Floats, width: float, height: float, floor: float) -> Floats:
    """Return, for each window, the logarithm of mean response within a part's region over that in the rest.

    Args:
        sums: (…, H + 1, W + 1) integral images of one part's responses.
        region: (4,) in units of the window's size.
        width: of the windows, in cells.
        height: likewise.
        floor: added to both means.

    Returns:
        (…, rows, columns), as in `faceness`.
    """
    rows = max(0, math.floor(sums.shape[-2] - 1 - height + 1e-9) + 1)
    columns = max(0, math.floor(sums.shape[-1] - 1 - width + 1e-9) + 1)
    box = region * np.array([width, height, width, height])
    within = _box_sums(sums, box, rows, columns)
    whole = _box_sums(sums, np.array([0, 0, width, height]), rows, columns)
    area = (box[2] - box[0]) * (box[3] - box[1])
    rest = np.maximum(whole - within, 0) / (width * height - area)
    ratio: Floats = np.log((np.maximum(within, 0) / area + floor) / (rest + floor))
    return ratio


def _box_sums(sums: Floats, box: Floats, rows: int, columns: int) -> Floats:
    """Return the sums of responses in a box (4,), in cells from each window's corner, for rows x columns windows."""
    x0, y0, x1, y1 = box.tolist()
    total: Floats = (
        _at(sums, y1, x1, rows, columns)
        - _at(sums, y0, x1, rows, columns)
        - _at(sums, y1, x0, rows, columns)
        + _at(sums, y0, x0, rows, columns)
    )
    return total


def _at(sums: Floats, down: float, right: float, rows: int, columns: int) -> Floats:
    """Return integral images between their points: exact, since a cell's response is the same all over the cell."""
    top, left = math.floor(down + 1e-9), math.floor(right + 1e-9)
    below, beyond = down - top, right - left
    lines = sums[..., top : top + rows, :]
    if below > 1e-9:
        lines = lines * (1 - below) + sums[..., top + 1 : top + 1 + rows, :] * below
    values = lines[..., left : left + columns]
    if beyond > 1e-9:
        values = values * (1 - beyond) + lines[..., left + 1 : left + 1 + columns] * beyond
    return values
