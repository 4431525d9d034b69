"""What a detector learns from: labelled photos of several sources, passed over as often as each one needs."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facepipe.training.labels import LabelledPhoto, Labels
from facepipe.training.photos import FacesOnPhoto, Variation, varied_photos

OnPhotos = Callable[[int], None]

MOST_PASSES = 24
HELD_OUT_OF = 8  # one photo in so many calibrates scores


@dataclass(frozen=True)
class Pass:
    """A photo in one of the passes over its source.

    Attributes:
        photo: varied.
        rng: of this photo in this pass.
        path: of the photo's file.
    """

    photo: FacesOnPhoto
    rng: np.random.Generator
    path: Path


def passes_of(labels: Labels, faces: int) -> int:
    """Return how often a source is passed over until it has shown about so many faces: 1 to MOST_PASSES times."""
    return min(max(1, round(faces / labels.faces)), MOST_PASSES)


def passes_over(
    sources: Sequence[Labels],
    variation: Variation,
    seed: int,
    *,
    faces: int,
    on_photos: OnPhotos | None = None,
) -> Iterator[Pass]:
    """Yield each source's photos, varied anew in each pass, until each source has shown about so many faces.

    So sources count alike, however many photos they hold.

    Args:
        sources: each with at least one face.
        variation: of the photos.
        seed: decides all that is random.
        faces: that each source shows, counting repetitions; each photo is shown once at least
            and MOST_PASSES times at most.
        on_photos: called with the number of photos shown, now and then.
    """
    shown = 0
    for source, labels in enumerate(sources):
        for number in range(passes_of(labels, faces)):
            for index, photo, rng in varied_photos(labels.photos, variation, hash_seed(seed, source, number)):
                yield Pass(photo, rng, labels.photos[index].path)
                shown += 1
                if on_photos is not None and shown % 16 == 0:
                    on_photos(shown)


def hash_seed(*numbers: int) -> int:
    """Return a seed that depends on all numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def fold_of(photo: LabelledPhoto) -> int:
    """Return which half of its source a photo belongs to, 0 or 1, by its name alone."""
    return hashlib.sha256(photo.path.name.encode()).digest()[0] % 2


def hold_out(sources: Sequence[Labels]) -> tuple[list[Labels], list[list[LabelledPhoto]]]:
    """Return the sources to learn from, and of each the photos that are held out, one in HELD_OUT_OF by their order.

    A source with too few photos to miss one keeps all.
    """
    kept, held = [], []
    for labels in sources:
        out = labels.photos[HELD_OUT_OF // 2 :: HELD_OUT_OF]
        rest = [photo for photo in labels.photos if photo not in out] if out else labels.photos
        whole = not any(len(photo.boxes) for photo in rest)
        kept.append(labels if whole else Labels(rest, labels.left_out))
        held.append([] if whole else list(out))
    return kept, held
