"""Faceness's classifier learns from windows of great faceness, and then from those that it took for faces.

Source: Yang, Luo, Loy and Tang, "From Facial Parts Responses to Face Detection: A Deep Learning Approach", ICCV 2015,
section 4.

Departs from the paper: faces are partly covered at random, and so is background, lest a cover alone tell of a face;
photos of large faces are shrunk at random.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from facepipe.detectors.faceness import Faceness, as_windows, surroundings
from facepipe.imaging.boxes import heights, iou
from facepipe.models.faceness_networks import FacenessClassifier
from facepipe.training.batches import MixedBatches, as_input
from facepipe.training.loop import Batch, State
from facepipe.training.losses import hard_face_loss, masked_square_loss
from facepipe.training.photos import FacesOnPhoto, cover
from facepipe.training.windows import (
    NEGATIVE,
    NEITHER,
    PART,
    POSITIVE,
    Jitter,
    anywhere,
    kinds_of,
    near_faces,
    take_crops,
    targets,
)

Floats = NDArray[np.float32]

BATCH = {NEGATIVE: 96, POSITIVE: 48, PART: 16}
BOX_WEIGHT = 4.0
LEAST_FACE = 14.0  # px of the photo; smaller faces neither teach nor are background
MOST = {NEGATIVE: 24, POSITIVE: 5, PART: 3}  # samples of a photo; of positives and part faces, of a face
PROPOSED = 120  # of a photo's best windows, the negatives are drawn from so many
LEAST_RANKED = (20.0, 60.0)  # px, the least height of ranked windows is between the two
TAKEN_FOR_FACE = 0.15  # probability above which a window is looked at again in the second round
SHRUNK = 20.0  # px, the height to which the faces of a photo are shrunk at most


@dataclass(frozen=True)
class ClassifierTask:
    """The classifier.

    Attributes:
        batches: of its samples.
        init: its first weights; None: at random.
    """

    batches: MixedBatches
    init: State | None = None

    def network(self) -> nn.Module:
        """Return the network as it is before the first step."""
        network = FacenessClassifier(normalise=True)
        if self.init is not None:
            network.load_state_dict(self.init)
        return network

    def batch(self, rng: np.random.Generator, share: slice) -> Batch:
        """Return crops as the network takes them, with what it should say."""
        rows = self.batches.draw(rng, share)
        return {**rows, "crops": as_input(rows["crops"], rng)}

    def losses(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return the weighted sum of classification's and box regression's losses (section 4), and each of them."""
        face, offsets = network(batch["crops"])
        kind = batch["kind"]
        loss = {"face": hard_face_loss(face, kind)}
        loss["box"] = masked_square_loss(offsets, batch["offsets"], kind != NEGATIVE)
        return {"loss": loss["face"] + BOX_WEIGHT * loss["box"], **loss}


def classifier_samples(
    photo: FacesOnPhoto, detector: Faceness, rng: np.random.Generator, *, has_classifier: bool
) -> dict[str, np.ndarray]:
    """Return crops of windows on a photo, and what the classifier should say of them.

    Args:
        photo: varied.
        detector: that ranks windows; with a classifier, what it takes for faces counts first.
        rng: decides.
        has_classifier: whether the detector's classifier has learned anything.
    """
    height, width = photo.image.shape[:2]
    faces = photo.boxes[heights(photo.boxes) >= LEAST_FACE]
    near = [near_faces(faces, 10, Jitter(0.18, 1.25), rng), near_faces(faces, 3, Jitter(0.7, 1.8), rng)]
    random = anywhere(width, height, 8, LEAST_FACE, rng)
    # Small windows are as plentiful as they are slow to rank: often only larger ones are.
    least = float(np.exp(rng.uniform(np.log(LEAST_RANKED[0]), np.log(LEAST_RANKED[1])))) / detector.min_face
    proposed = detector.propose(photo.image, least)[0]
    windows = [as_windows(np.concatenate([*near, random])), proposed[rng.permutation(min(PROPOSED, len(proposed)))]]
    hard = [False, False]
    if has_classifier:
        moved, probability = detector.classify(photo.image, proposed)
        taken = probability > TAKEN_FOR_FACE
        windows += [proposed[taken], as_windows(moved[taken])]
        hard += [True, True]
    is_hard = np.repeat(hard, [len(some) for some in windows])
    return _chosen(photo, np.concatenate(windows), is_hard, rng)


def _chosen(
    photo: FacesOnPhoto, windows: Floats, is_hard: NDArray[np.bool_], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return samples of each kind from windows; hard negatives before others."""
    wanted = targets(windows, photo)
    kind = kinds_of(wanted, photo, LEAST_FACE)
    kind[(kind == NEGATIVE) & (heights(windows) < LEAST_FACE)] = NEITHER
    faces = max(int((heights(photo.boxes) >= LEAST_FACE).sum()), 1)
    rows = []
    for sort, most in MOST.items():
        of_kind = rng.permutation(np.flatnonzero(kind == sort))
        of_kind = of_kind[np.argsort(~is_hard[of_kind], kind="stable")]
        rows.append(of_kind[: most + min(faces, 40) if sort == NEGATIVE else most * faces])
    row = np.concatenate(rows)
    return {
        "crops": take_crops(photo, surroundings(windows[row]), FacenessClassifier.size),
        "kind": kind[row],
        "offsets": wanted.offsets[row],
    }


def shrink(photo: FacesOnPhoto, rng: np.random.Generator) -> FacesOnPhoto:
    """Return the photo shrunk at random, so far at most that its faces are SHRUNK px high; three in four are."""
    if not len(photo.boxes) or rng.random() < 0.25:
        return photo
    median = float(np.median(heights(photo.boxes)))
    scale = float(np.exp(rng.uniform(np.log(min(1.0, SHRUNK / median)), 0)))
    height, width = photo.image.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (width, height):
        return photo
    factor = np.array([size[0] / width, size[1] / height], np.float32)
    image = np.asarray(cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    both = np.tile(factor, 2)
    return FacesOnPhoto(image, photo.boxes * both, photo.landmarks * factor, photo.ignored * both)


def cover_background(photo: FacesOnPhoto, probability: float, rng: np.random.Generator) -> FacesOnPhoto:
    """Return the photo with some rectangles like those that cover faces, but where no face is."""
    if rng.random() >= probability:
        return photo
    height, width = photo.image.shape[:2]
    places = anywhere(width, height, 4, LEAST_FACE, rng)
    free = iou(places, photo.boxes).max(axis=1, initial=0) == 0
    for place in places[free]:
        photo = replace(photo, image=cover(photo.image, place, float(rng.uniform(0.1, 0.5)), rng))
    return photo
