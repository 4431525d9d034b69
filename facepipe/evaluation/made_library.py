"""Libraries of people who don't exist, of any size, with all that makes grouping hard: made anew from a seed.

Siblings who look alike, children who grow up, photos taken in bursts, several people on one photo, detections that are
no faces, and passers-by who are seen once. Without these extras and with the sizes of lfw-dev's people, methods of
grouping do as well on it as on lfw-dev (`facepipe eval made-library`).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.config import EmbedConfig
from facepipe.errors import WrongUsageError
from facepipe.evaluation.made_faces import (
    People,
    draw_faces,
    draw_junk,
    draw_people,
    nearly_same,
    to_embeddings,
    towards,
)
from facepipe.models.face_spread import FaceSpread, spread_of

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# The cosine of siblings' centres. Faces of the siblings in LFW (Lapentti, Makhmalbaf, Murdoch; folds 6 to 10) have
# cosines of 0.26, 0.35 and 0.46, on average 0.52 of what the faces of one person have.
SIBLINGS = 0.55
GROWTH = np.pi / 3  # by which a child's centre turns from the first photo of the library to the last
BURST_CHANGE = 0.02  # of the squared length of a face is new in the next photo of a burst
CIRCLE = 12  # people who are on photos together
LARGEST_PARTY = 6  # people on a photo, where several are
JUNK_VOTES = 0.05  # of what is no face is found surely enough to form people


class FaceKind(IntEnum):
    """What a face of a made library is."""

    USUAL = 0
    REPEAT = 1  # in a burst, nearly the same as another
    ALONE = 2  # the only one of its person
    JUNK = 3  # no face at all


@dataclass(frozen=True)
class LibraryPlan:
    """What a library is to be like; shares are 0 to 1.

    Attributes:
        faces: how many there are, N.
        sizes: faces of each person; they count in place of `faces` (but for junk), `distractors` and the power law.
        exponent: of the power law of people's sizes: the probability of s faces, from 2 on, is proportional to
            s ** -exponent.
        largest: most faces of a person.
        distractors: share of faces that are the only one of their person.
        siblings: share of the others' people who are one of two siblings.
        resemblance: the cosine of siblings' centres.
        children: share of those people who grow up.
        bursts: share of faces of a person that repeat the person's face before.
        together: share of faces that are shown among others of their person's circle, as far as it has people enough.
        junk: share of faces that are none.
    """

    faces: int = 20_000
    sizes: tuple[int, ...] | None = None
    exponent: float = 2.0
    largest: int = 1_000
    distractors: float = 0.3
    siblings: float = 0.1
    resemblance: float = SIBLINGS
    children: float = 0.1
    bursts: float = 0.1
    together: float = 0.5
    junk: float = 0.02

    @classmethod
    def plain(cls, sizes: Ints) -> "LibraryPlan":
        """Return a plan of people of given sizes (P,), each face on a photo of its own, without any extras."""
        return cls(sizes=tuple(sizes.tolist()), siblings=0, children=0, bursts=0, together=0, junk=0)


class MadeLibrary(NamedTuple):
    """N faces of P people, in random order.

    Attributes:
        embeddings: (N, D) float32, unit length.
        photo_index: (N,) int64, the photo of each face; a person is on a photo once at most.
        people: (N,) int64, who each face is: 0 to P - 1; what is no face is a person of its own, P and up.
        kind: (N,) int8, `FaceKind`.
        votes: (N,) bool, which faces a detector is sure of.
        taken: (N,) float32, when each photo was taken: 0 to 1.
        sibling: (P,) int64, each person's sibling, -1 for none.
        grows: (P,) bool, who is a child at first.
    """

    embeddings: Vectors
    photo_index: Ints
    people: Ints
    kind: npt.NDArray[np.int8]
    votes: Bools
    taken: Vectors
    sibling: Ints
    grows: Bools


def spread_to_make_of(embed: EmbedConfig) -> FaceSpread:
    """Return how the faces of the embedder spread that the settings name, for libraries that are made.

    Raises:
        WrongUsageError: that isn't known.
    """
    spread = spread_of(embed.weights) if embed.centre else None
    if spread is None:
        raise WrongUsageError(
            f"no libraries can be made for {embed.weights!r}{'' if embed.centre else ' without embed.centre'}: how its "
            "faces spread is not known"
        )
    return spread


def make_library(spread: FaceSpread, plan: LibraryPlan, seed: int) -> MadeLibrary:
    """Return a library; the same for the same seed.

    Args:
        spread: how the faces of a model spread.
        plan: what the library is to be like.
        seed: of all that is random.

    Raises:
        WrongUsageError: shares are out of range, or together leave no room for people with several faces.
    """
    _check(plan)
    rng = np.random.default_rng(seed)
    sizes = _sizes(plan, rng)
    person = np.repeat(np.arange(len(sizes)), sizes)
    photo = _deal_photos(person, len(sizes), plan.together, rng)
    photos = int(photo.max(initial=-1)) + 1
    taken = rng.random(photos, np.float32)
    people, sibling = _with_siblings(draw_people(spread, len(sizes), rng), sizes, plan, rng)
    grows = (sizes > 1) & (rng.random(len(sizes)) < plan.children)
    centres = _centres_at(people, grows, person, taken[photo], spread, rng) if grows.any() else None
    faces = draw_faces(spread, people, sizes, rng, centres)
    repeats = _repeat_faces(faces, person, plan.bursts, spread, rng)
    kind = np.where(repeats, FaceKind.REPEAT, np.where(sizes[person] == 1, FaceKind.ALONE, FaceKind.USUAL))

    junk = draw_junk(spread, _junk_faces(plan, len(faces)), rng)
    where = rng.integers(max(photos, 1), size=len(junk))
    votes = np.concatenate([np.ones(len(faces), np.bool_), rng.random(len(junk)) < JUNK_VOTES])
    nobody = len(sizes) + np.arange(len(junk))
    rows = rng.permutation(len(faces) + len(junk))
    order = np.argsort(rows)  # which face stands in each row
    photo_index = rng.permutation(max(photos, 1))[np.concatenate([photo, where])]
    taken = np.concatenate([taken[photo], taken[where] if photos else np.zeros(len(junk), np.float32)])
    return MadeLibrary(
        embeddings=to_embeddings(np.concatenate([faces, junk]), spread, rows),
        photo_index=photo_index[order],
        people=np.concatenate([person, nobody])[order],
        kind=np.concatenate([kind, np.full(len(junk), FaceKind.JUNK)]).astype(np.int8)[order],
        votes=votes[order],
        taken=taken[order],
        sibling=sibling,
        grows=grows,
    )


def _check(plan: LibraryPlan) -> None:
    for name in ("distractors", "siblings", "resemblance", "children", "bursts", "together", "junk"):
        if not 0 <= getattr(plan, name) <= 1:
            raise WrongUsageError(f"{name!r} of a made library should be 0 to 1, not {getattr(plan, name)}")
    if plan.distractors + plan.junk > 1:
        raise WrongUsageError("distractors and junk together can't be more than all faces of a made library")


def _junk_faces(plan: LibraryPlan, faces: int) -> int:
    """Return how many faces are none, where there are so many others."""
    return plan.faces - faces if plan.sizes is None else round(faces * plan.junk / max(1 - plan.junk, 1e-9))


def _sizes(plan: LibraryPlan, rng: np.random.Generator) -> Ints:
    """Return the faces of each person, (P,), in random order."""
    if plan.sizes is not None:
        return np.array(plan.sizes, np.int64)
    alone = round(plan.faces * plan.distractors)
    several = plan.faces - round(plan.faces * plan.junk) - alone
    sizes = np.arange(2, max(plan.largest, 2) + 1)
    odds = np.cumsum(sizes.astype(np.float64) ** -plan.exponent)
    drawn = sizes[np.searchsorted(odds, rng.random(max(several, 0) // 2 + 1) * odds[-1])]
    drawn = drawn[: int(np.searchsorted(np.cumsum(drawn), several))]  # those that fit
    rest = several - int(drawn.sum())
    drawn = np.append(drawn, rest) if rest > 0 else drawn
    return rng.permutation(np.concatenate([drawn, np.ones(alone, np.int64)]))


def _deal_photos(person: Ints, people: int, together: float, rng: np.random.Generator) -> Ints:
    """Return the photo of each face (N,), numbered from 0: the faces of a circle are dealt out like cards.

    A person's faces come one after the other, and there are photos enough for them: so a person is on each one once.

    Args:
        person: (N,) ascending.
        people: how many there are; those who follow each other form circles.
        together: share of faces that are dealt; the others have a photo each.
        rng: decides.
    """
    dealt = np.flatnonzero(rng.random(len(person)) < together)
    circles = -(-people // CIRCLE)
    circle = person[dealt] // CIRCLE
    faces = np.bincount(circle, minlength=circles)
    most = np.zeros(circles, np.int64)  # faces of one person
    np.maximum.at(most, np.arange(people) // CIRCLE, np.bincount(person[dealt], minlength=people))
    parties = rng.integers(2, LARGEST_PARTY + 1, circles)
    photos = np.maximum(most, -(-faces // parties))
    place = np.arange(len(dealt)) - (np.cumsum(faces) - faces)[circle]
    photo = np.full(len(person), -1)
    photo[dealt] = (np.cumsum(photos) - photos)[circle] + place % photos[circle]
    others = photo < 0
    photo[others] = photos.sum() + np.arange(others.sum())
    return photo


def _with_siblings(people: People, sizes: Ints, plan: LibraryPlan, rng: np.random.Generator) -> tuple[People, Ints]:
    """Return people of whom a share have a sibling near them, and each one's sibling (P,), -1 for none.

    Siblings follow each other, as far as people with several faces do, so that most are in one circle.
    """
    able = np.flatnonzero(sizes > 1)
    pairs = able[: len(able) // 2 * 2].reshape(-1, 2)
    first, second = pairs[rng.random(len(pairs)) < plan.siblings].T
    sibling = np.full(len(sizes), -1)
    sibling[first], sibling[second] = second, first
    centres = people.centres.copy()
    angle = np.full(len(first), np.arccos(plan.resemblance))
    centres[second] = towards(centres[first], centres[second], angle)
    return people._replace(centres=centres), sibling


def _centres_at(
    people: People, grows: Bools, person: Ints, taken: Vectors, spread: FaceSpread, rng: np.random.Generator
) -> Vectors:
    """Return where each face's person was when it was taken, (N, d): children turn evenly towards somebody else."""
    children = np.flatnonzero(grows)
    adults = people.centres.copy()
    adults[children] = draw_people(spread, len(children), rng).centres
    centres = people.centres[person]
    growing = np.flatnonzero(grows[person])
    own = person[growing]
    centres[growing] = towards(people.centres[own], adults[own], GROWTH * taken[growing])
    return centres


def _repeat_faces(faces: Vectors, person: Ints, share: float, spread: FaceSpread, rng: np.random.Generator) -> Bools:
    """Make a share of the faces (N, d) nearly the same as their person's face before, in place; return which (N,)."""
    repeats = rng.random(len(person)) < share
    repeats[:1] = False
    repeats[1:] &= person[1:] == person[:-1]
    source = np.maximum.accumulate(np.where(repeats, 0, np.arange(len(person))))
    faces[repeats] = nearly_same(faces[source[repeats]], BURST_CHANGE, spread, rng)
    return repeats
