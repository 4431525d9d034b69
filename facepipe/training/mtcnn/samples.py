"""The samples from which a network of the cascade learns: windows on photos, near faces and where those before it look.

Source: Zhang, Zhang, Li and Qiao 2016 (MTCNN), sections II.C and III.A.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepipe.detectors.mtcnn import MTCNN, Thresholds
from facepipe.imaging.boxes import heights, square
from facepipe.models.mtcnn_networks import PNet
from facepipe.training.labels import Labels
from facepipe.training.loop import State
from facepipe.training.mtcnn.networks import NETWORKS
from facepipe.training.photos import FacesOnPhoto
from facepipe.training.recipe import DetectorOptions, Fit
from facepipe.training.samples import Samples, SampleWriter
from facepipe.training.sources import hash_seed, passes_over
from facepipe.training.windows import (
    NEGATIVE,
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

MOST_NEGATIVES, MOST_MINED = 24, 40  # of a photo: by guesses, and with those that the networks before let through
LEAST_MINED = 20.0  # pixels; smaller faces would take most of the time


@dataclass(frozen=True)
class Mining:
    """How samples are found.

    Attributes:
        faces: each source shows so many to each network, counting repetitions.
        thresholds: of the networks before.
        least_face: height in pixels; lower faces neither teach nor are background.
    """

    faces: Mapping[str, int]
    thresholds: Thresholds
    least_face: float


def collect(
    name: str,
    sources: Sequence[Labels],
    folder: Path,
    state: State,
    options: DetectorOptions,
    fit: Fit,
    mining: Mining,
) -> Samples:
    """Write the samples from which a network learns, mined with the networks before it, and return them.

    Args:
        name: of the network.
        sources: labelled photos.
        folder: that shall hold them; where it is there already, nothing is done.
        state: weights of the networks before it at least, `pnet.…` and so on.
        options: see there.
        fit: tells how far it is.
        mining: see there.
    """
    samples = Samples(folder)
    if samples.exists():
        return samples
    size = NETWORKS[name].window
    before = list(NETWORKS).index(name)
    cascade = _cascade(state, mining.thresholds) if before else None
    writer = SampleWriter(folder)
    faces = options.faces_of(mining.faces[name])
    with fit.mining(name, sources, faces) as on_photos:
        seed = hash_seed(options.seed, before)
        for shown in passes_over(sources, options.variation, seed, faces=faces, on_photos=on_photos):
            photo, rng = shown.photo, shown.rng
            windows = [_guesses(photo, name, mining.least_face, rng)]
            if cascade is not None:
                found = cascade.propose([photo.image], before)[0]
                windows.append(square(found[rng.permutation(len(found))[:400]]))
            most = MOST_NEGATIVES if cascade is None else MOST_MINED
            rows = _samples(photo, np.concatenate(windows), size, rng, most, mining.least_face)
            if len(rows["kind"]):
                writer.append(rows)
    return writer.finish()


def _guesses(photo: FacesOnPhoto, name: str, least_face: float, rng: np.random.Generator) -> Floats:
    """Return windows near faces and anywhere: all that P-Net learns from, and the others' faces that it missed."""
    height, width = photo.image.shape[:2]
    faces = photo.boxes[heights(photo.boxes) >= least_face]
    close = near_faces(faces, 24, Jitter(0.2, 1.25), rng)
    if name != "pnet":
        return close
    around = near_faces(faces, 3, Jitter(0.8, 2.0), rng)
    return np.concatenate([close, around, anywhere(width, height, 24, PNet.window, rng)])


def _samples(
    photo: FacesOnPhoto, windows: Floats, size: int, rng: np.random.Generator, negatives: int, least_face: float
) -> dict[str, np.ndarray]:
    """Return the crops of windows that are of one kind or another, and what a network should say of them."""
    wanted = targets(windows, photo)
    kind = kinds_of(wanted, photo, least_face)
    faces = max(len(photo.boxes), 1)
    chosen = []
    limits = {NEGATIVE: negatives, POSITIVE: 8 * faces, PART: 8 * faces}
    for sort, most in limits.items():
        rows = np.flatnonzero(kind == sort)
        chosen.append(rng.permutation(rows)[:most])
    rows = np.concatenate(chosen)
    return {
        "crops": take_crops(photo, windows[rows], size),
        "kind": kind[rows],
        "offsets": wanted.offsets[rows],
        "landmarks": wanted.landmarks[rows],
    }


def _cascade(state: State, thresholds: Thresholds) -> MTCNN:
    """Return the detector as far as it is trained; networks to come are there, but not asked."""
    whole = dict(state)
    for name, network in NETWORKS.items():
        if f"{name}.conv1.weight" not in whole:
            whole |= {f"{name}.{key}": value for key, value in network().state_dict().items()}
    return MTCNN(whole, min_face=LEAST_MINED, thresholds=thresholds)
