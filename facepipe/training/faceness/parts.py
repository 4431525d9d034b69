"""Faceness's part networks learn where a part of a face lies, and its attributes where these are known.

Source: Yang, Luo, Loy and Tang, "From Facial Parts Responses to Face Detection: A Deep Learning Approach", ICCV 2015,
section 3.1.

Departs from the paper: eyes, nose and mouth lie where five landmarks are, hair and beard at fixed offsets from them; a
face without landmarks has its parts where they lie on average; a covered part still counts as there, since what is
around it tells where it is. CelebA's attributes are learned beside, where they are given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from facepipe.imaging.boxes import heights
from facepipe.models.faceness_networks import PARTS, PartNet
from facepipe.training.batches import MixedBatches, as_input
from facepipe.training.faceness.celeba import ATTRIBUTES, PART_ATTRIBUTES
from facepipe.training.labels import Labels
from facepipe.training.loop import Batch
from facepipe.training.photos import FacesOnPhoto
from facepipe.training.windows import anywhere, take_crops

Floats = NDArray[np.float32]

CROP = 48  # px, side of what a part network learns from
CELLS = CROP // PartNet.cell
FACE, BACKGROUND = 0, 1
BATCH = {FACE: 48, BACKGROUND: 48}
UNKNOWN = 255
LEARNED = (0.85 * PartNet.face[0], 1.2 * PartNet.face[1])  # px in the crop: heights of faces whose parts are to be seen
NEITHER = (0.65 * PartNet.face[0], 1.6 * PartNet.face[1])  # outside this they are not; between the two it's open
MOST_FACES = 8  # of a crop, whose boxes are kept
LEAST_FACE = 10.0  # px of the photo; smaller faces neither teach nor are background
POSITIVE_WEIGHT = 2.0  # of cells on the part
# Where the five landmarks of a face lie in its box, on average over frontal faces: without any landmarks to learn from.
USUAL_LANDMARKS = np.array([[0.3, 0.39], [0.72, 0.39], [0.52, 0.59], [0.34, 0.76], [0.71, 0.76]], np.float32)


def usual_landmarks(sources: Sequence[Labels]) -> Floats:
    """Return where landmarks lie in their face's box on average (5, 2), in units of its width and height."""
    box = np.concatenate([photo.boxes for labels in sources for photo in labels.photos])
    points = np.concatenate([photo.landmarks for labels in sources for photo in labels.photos])
    known = ~np.isnan(points).any(axis=(1, 2))
    if not known.any():
        return USUAL_LANDMARKS
    place = (points[known] - box[known, None, :2]) / (box[known, 2:] - box[known, :2])[:, None]
    usual: Floats = np.median(place, axis=0).astype(np.float32)
    return usual


def fill_landmarks(boxes: Floats, landmarks: Floats, usual: Floats) -> Floats:
    """Return landmarks (F, 5, 2), those that aren't known where they usually lie in the face's box."""
    guessed = boxes[:, None, :2] + usual * (boxes[:, 2:] - boxes[:, :2])[:, None]
    unknown = np.isnan(landmarks).any(axis=(1, 2), keepdims=True)
    return np.where(unknown, guessed, landmarks).astype(np.float32)


def part_regions(landmarks: Floats) -> Floats:
    """Return the upright box (F, 5, 4) of each part, in the order of PARTS, for faces with landmarks (F, 5, 2).

    Lengths are in units of the distance between the eyes' and the mouth's middles, which stays while a head turns to
    the side; hair and beard lie on the line through both, above and below.
    """
    eyes, mouth = landmarks[:, :2].mean(axis=1), landmarks[:, 3:].mean(axis=1)
    down = mouth - eyes  # (F, 2)
    unit = np.maximum(np.linalg.norm(down, axis=1, keepdims=True), 1e-3)  # (F, 1)
    between_eyes = np.abs(landmarks[:, 1, :1] - landmarks[:, 0, :1])
    mouth_width = np.abs(landmarks[:, 4, :1] - landmarks[:, 3, :1])
    parts = {  # centre (F, 2), half width and half height (F, 1)
        "hair": (eyes - 1.0 * down, 0.85 * unit, 0.35 * unit),
        "eyes": (eyes, 0.5 * between_eyes + 0.35 * unit, 0.27 * unit),
        "nose": (landmarks[:, 2] - 0.12 * down, 0.32 * unit, 0.38 * unit),
        "mouth": (mouth, 0.5 * mouth_width + 0.17 * unit, 0.27 * unit),
        "beard": (mouth + 0.5 * down, 0.65 * unit, 0.32 * unit),
    }
    regions = []
    for part in PARTS:
        centre, half_width, half_height = parts[part]
        half = np.concatenate([half_width, half_height], axis=1)
        regions.append(np.concatenate([centre - half, centre + half], axis=1))
    return np.stack(regions, axis=1).astype(np.float32)


def part_samples(
    photo: FacesOnPhoto, usual: Floats, attributes: NDArray[np.int8], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return crops of a photo, and where each part lies on them.

    Args:
        photo: varied.
        usual: places of landmarks where they aren't known.
        attributes: (25,) of the photo's only face; zeros where they aren't known.
        rng: decides which crops.

    Returns:
        `crops` (N, 48, 48, 3) uint8, `maps` (N, 5, 12, 12) uint8: 1 on the part, 0 elsewhere, 255 where that's open;
        `faces` (N, 8, 4) float32 boxes in pixels of the crop, NaN where there are fewer; `attributes` (N, 25) int8;
        `kind` (N,) int8 FACE or BACKGROUND.
    """
    height, width = photo.image.shape[:2]
    large = np.flatnonzero(heights(photo.boxes) >= LEAST_FACE)
    chosen = rng.permutation(large)[:MOST_FACES]
    shown = np.exp(rng.uniform(np.log(PartNet.face[0]), np.log(PartNet.face[1]), len(chosen)))  # px
    side = CROP * heights(photo.boxes[chosen]) / shown
    centre = (photo.boxes[chosen, :2] + photo.boxes[chosen, 2:]) / 2
    centre = centre + rng.uniform(-0.3, 0.3, (len(chosen), 2)) * side[:, None]
    on_faces = np.concatenate([centre - side[:, None] / 2, centre + side[:, None] / 2], axis=1)
    elsewhere = anywhere(width, height, max(2, len(chosen)), min(CROP * 0.75, width, height), rng)
    windows = np.concatenate([on_faces, elsewhere]).astype(np.float32)
    regions = part_regions(fill_landmarks(photo.boxes, photo.landmarks, usual))
    drawn = [_map(window, photo, regions) for window in windows]
    return {
        "crops": take_crops(photo, windows, CROP),
        "maps": np.array([maps for maps, _ in drawn], np.uint8).reshape(-1, len(PARTS), CELLS, CELLS),
        "faces": np.array([faces for _, faces in drawn], np.float32).reshape(-1, MOST_FACES, 4),
        "attributes": np.repeat(attributes[None], len(windows), axis=0),
        "kind": np.repeat(np.array([FACE, BACKGROUND], np.int8), [len(chosen), len(elsewhere)]),
    }


def _map(window: Floats, photo: FacesOnPhoto, regions: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Return the parts' maps (5, 12, 12) of a crop and the boxes (8, 4) of its faces, in pixels of the crop."""
    zoom = CROP / (window[2] - window[0])
    corner = np.tile(window[:2], 2)
    boxes = (photo.boxes - corner) * zoom
    maps = np.zeros((len(PARTS), CELLS, CELLS), np.uint8)
    height = heights(boxes)
    small = height / zoom < LEAST_FACE
    seen = (height >= LEARNED[0]) & (height <= LEARNED[1]) & ~small
    absent = ((height < NEITHER[0]) | (height > NEITHER[1])) & ~small
    for box in np.concatenate([(photo.ignored - corner) * zoom, boxes[~seen & ~absent]]):
        maps[:, _cells(box)] = UNKNOWN
    for face in np.flatnonzero(seen):
        for part, region in enumerate((regions[face] - corner) * zoom):
            maps[part, _cells(region)] = 1
    kept = np.full((MOST_FACES, 4), np.nan, np.float32)
    inside = boxes[(boxes[:, 2:] > 0).all(axis=1) & (boxes[:, :2] < CROP).all(axis=1)][:MOST_FACES]
    kept[: len(inside)] = inside
    return maps, kept


def _cells(box: Floats) -> NDArray[np.bool_]:
    """Return which cells (12, 12) of a crop have their middle in a box."""
    middle = (np.arange(CELLS) + 0.5) * PartNet.cell
    rows, columns = ((middle >= box[axis]) & (middle < box[axis + 2]) for axis in (1, 0))
    inside: NDArray[np.bool_] = rows[:, None] & columns[None]
    return inside


@dataclass(frozen=True)
class PartTask:
    """The network of one part.

    Attributes:
        part: of PARTS.
        batches: of part samples.
        with_attributes: whether it learns the part's attributes, too.
    """

    part: str
    batches: MixedBatches
    with_attributes: bool = False

    def network(self) -> nn.Module:
        """Return the network as it is before the first step."""
        return PartNet(len(PART_ATTRIBUTES[self.part]) if self.with_attributes else 0, normalise=True)

    def batch(self, rng: np.random.Generator, share: slice) -> Batch:
        """Return crops as the network takes them, the part's map and the attributes."""
        rows = self.batches.draw(rng, share)
        own = [ATTRIBUTES.index(name) for name in PART_ATTRIBUTES[self.part]]
        return {
            "crops": as_input(rows["crops"], rng),
            "map": rows["maps"][:, PARTS.index(self.part)],
            "attributes": rows["attributes"][:, own],
        }

    def losses(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the cross entropy of the part's map, and that of its attributes on the part (section 3.1)."""
        logits = network(batch["crops"])
        loss = {"part": map_loss(logits[:, 0], batch["map"])}
        if self.with_attributes:
            loss["attributes"] = attribute_loss(logits[:, 1:], batch["map"] == 1, batch["attributes"])
        return {"loss": torch.stack(list(loss.values())).sum(), **loss}


def map_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean cross entropy of cells (N, h, w) whose answer is known (0 or 1, not 255)."""
    known = wanted != UNKNOWN
    answer = (wanted == 1).float()
    weight = known * (1 + (POSITIVE_WEIGHT - 1) * answer)
    loss = F.binary_cross_entropy_with_logits(logits.float(), answer, weight, reduction="sum")
    return loss / known.sum().clamp(min=1)


def attribute_loss(logits: Tensor, on_part: Tensor, attributes: Tensor) -> Tensor:
    """Return the mean cross entropy of attributes, each averaged over the cells of its part.

    Args:
        logits: (N, A, h, w).
        on_part: (N, h, w) bool.
        attributes: (N, A): 1, -1, or 0 where it isn't known.
    """
    cells = on_part.flatten(1).sum(dim=1)  # (N,)
    mean = (logits.float() * on_part[:, None]).flatten(2).sum(dim=2) / cells.clamp(min=1)[:, None]  # (N, A)
    known = (attributes != 0) & (cells > 0)[:, None]
    loss = F.binary_cross_entropy_with_logits(mean, (attributes > 0).float(), known.float(), reduction="sum")
    return loss / known.sum().clamp(min=1)
