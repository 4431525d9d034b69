"""What recognisers learn from and are judged by, without a fold's people: LFW's View 2, a training a fold.

A network learns from other people's photos and from the other folds' people; a fold's own people, and those in no pair,
it never sees.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from facepipe.config import MetricName
from facepipe.errors import WrongUsageError
from facepipe.evaluation.lfw import Pairs
from facepipe.labelled_people import LabelledPeople
from facepipe.stages.align_faces import Crops
from facepipe.studies.recognisers.judged_faces import JudgedFaces
from facepipe.training.face_crops import CropVariation, Wear
from facepipe.training.face_samples import FaceSamples
from facepipe.training.people import NOBODY, split
from facepipe.training.recipe import Fit, RecogniserOptions
from facepipe.training.samples import Samples, with_array
from facepipe.trainings import claim, train_recogniser

UNWORN = Wear()


class Embeds(Protocol):
    """What turns crops into vectors: an embedder, or eigenfaces."""

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, D) float32 of unit length of (N, S, S, 3) uint8 RGB."""


class Entry(NamedTuple):
    """Something that is judged on a fold.

    Attributes:
        name: of the row.
        embedder: see there.
        crops: that it wants.
        wear: of the photos.
        training: folder of its training; None: there was none.
        metric: by which pairs are compared; what it has to learn, other folds' pairs teach.
    """

    name: str
    embedder: Embeds
    crops: Crops
    wear: Wear = UNWORN
    training: Path | None = None
    metric: MetricName = "cosine"


@dataclass(frozen=True)
class Course:
    """What contestants learn from and are judged by.

    Attributes:
        people: all faces, by how they are aligned.
        judged: photos of the people whom pairs name.
        pairs: of LFW's View 2.
        folder: for trainings; what is finished there is not done again.
        fit: trains networks.
        effort: factor on how long they learn.
        share: of the people whom they may learn from, for a learning curve.
    """

    people: Mapping[str, LabelledPeople]
    judged: JudgedFaces
    pairs: Pairs
    folder: Path
    fit: Fit
    effort: float
    share: float

    @cached_property
    def fold_of_photos(self) -> NDArray[np.int64]:
        """The fold (N,) of the person on each judged photo; -1 for people in no pair."""
        names = [name.partition("/")[0] for name in self.judged.names]
        return np.array([self._fold_of.get(name, -1) for name in names], np.int64)

    @cached_property
    def rows_of_pairs(self) -> NDArray[np.intp]:
        """The judged photos (P, 2) of each pair.

        Raises:
            WrongUsageError: one is missing.
        """
        place = {name: row for row, name in enumerate(self.judged.names)}
        if missing := [name for name in (*self.pairs.left, *self.pairs.right) if name not in place]:
            raise WrongUsageError(f"the pairs name {missing[0]}, which is not among the photos in {self.judged.images}")
        return np.array([[place[name] for name in side] for side in (self.pairs.left, self.pairs.right)]).T

    @cached_property
    def _fold_of(self) -> dict[str, int]:
        sides = [
            *zip(self.pairs.left, self.pairs.fold, strict=True),
            *zip(self.pairs.right, self.pairs.fold, strict=True),
        ]
        return {photo.partition("/")[0]: int(fold) for photo, fold in sides}

    def _learners(self, fold: int, alignment: str) -> NDArray[np.int64]:
        """Return who each face shows, (N,); NOBODY for those that are not learned from without a fold."""
        people = self.people[alignment]
        unpaired = {name.partition("/")[0] for name in self.judged.names} - self._fold_of.keys()
        open_to = [
            number
            for number, name in enumerate(people.names)
            if name not in unpaired and self._fold_of.get(name) != fold
        ]
        drawn = np.random.default_rng(fold).permutation(open_to)
        person = np.asarray(people.samples.arrays()["person"])
        return np.where(np.isin(person, drawn[: max(1, round(self.share * len(drawn)))]), person, NOBODY)

    def samples(self, fold: int, alignment: str) -> Samples:
        """Return the faces that are learned from without a fold."""
        folder = self.folder / f"faces-{alignment}-without-{fold}-share-{self.share:g}"
        return with_array(self.people[alignment].samples, folder, "person", self._learners(fold, alignment))

    def train(self, recogniser: str, kind: str, options: RecogniserOptions, fold: int, alignment: str = "box") -> Path:
        """Return the folder of a training without a fold."""
        part = "" if self.share == 1 else f"-share-{self.share:g}"
        folder = self.folder / f"{recogniser}-{kind}-without-{fold}-seed-{options.seed}{part}"
        options = replace(options, effort=self.effort)
        claim(folder, recogniser, options, [f"{self.share:g} of the people without fold {fold}"])
        samples = self.samples(fold, alignment)
        train_recogniser(recogniser, samples, folder, options, self.fit)
        return folder

    def held_out(self, fold: int, crops: Crops, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return crops (N, S, S, 3), and who each shows, of people whom a training without a fold has held out."""
        faces = FaceSamples(self.samples(fold, crops.alignment), crops.size, crops.grow, CropVariation())
        _, rows = split(faces.person, seed)
        return faces.plain(rows).numpy(), faces.person[rows]
