"""Made libraries are what their plan says."""

from dataclasses import replace

import numpy as np
import pytest

from facepipe.config import EmbedConfig
from facepipe.errors import WrongUsageError
from facepipe.evaluation.made_library import FaceKind, LibraryPlan, MadeLibrary, make_library, spread_to_make_of
from facepipe.models.face_spread import FaceSpread

PLAN = LibraryPlan(faces=3_000)


@pytest.fixture(scope="module")
def spread() -> FaceSpread:
    return spread_to_make_of(EmbedConfig())


@pytest.fixture(scope="module")
def library(spread: FaceSpread) -> MadeLibrary:
    return make_library(spread, PLAN, seed=4)


def similarities(library: MadeLibrary) -> np.ndarray:
    return library.embeddings @ library.embeddings.T


def mean_between(library: MadeLibrary, first: int, second: int) -> float:
    rows = [library.embeddings[library.people == person] for person in (first, second)]
    return float((rows[0] @ rows[1].T).mean())


def test_the_same_seed_makes_the_same_library(spread: FaceSpread, library: MadeLibrary) -> None:
    again, other = make_library(spread, PLAN, seed=4), make_library(spread, PLAN, seed=5)
    for name, values in again._asdict().items():
        np.testing.assert_array_equal(values, getattr(library, name), err_msg=name)
    assert not np.array_equal(other.embeddings, library.embeddings)


def test_vectors_are_embeddings(library: MadeLibrary) -> None:
    assert library.embeddings.shape == (3_000, 512)
    assert library.embeddings.dtype == np.float32
    assert np.allclose(np.linalg.norm(library.embeddings, axis=1), 1, atol=1e-5)


def test_faces_are_of_the_kinds_in_their_shares(library: MadeLibrary) -> None:
    shares = np.bincount(library.kind, minlength=4) / len(library.kind)
    sizes = np.bincount(library.people)
    assert shares[FaceKind.JUNK] == pytest.approx(0.02, abs=1e-9)
    assert shares[FaceKind.ALONE] == pytest.approx(0.3, abs=0.001)  # one more where a face is left over
    assert shares[FaceKind.REPEAT] == pytest.approx(0.1 * shares[: FaceKind.ALONE].sum(), abs=0.02)
    assert ((sizes[library.people] == 1) == np.isin(library.kind, [FaceKind.ALONE, FaceKind.JUNK])).all()
    assert library.votes[library.kind != FaceKind.JUNK].all()
    assert library.votes[library.kind == FaceKind.JUNK].mean() < 0.2


@pytest.mark.parametrize("distractors", [0.0, 0.9])
def test_distractors_from_none_to_nine_in_ten(spread: FaceSpread, distractors: float) -> None:
    kinds = make_library(spread, LibraryPlan(faces=2_000, distractors=distractors), seed=0).kind
    assert len(kinds) == 2_000
    assert (kinds == FaceKind.ALONE).mean() == pytest.approx(distractors, abs=0.001)


def test_sizes_fall_by_a_power(spread: FaceSpread) -> None:
    plan = LibraryPlan(faces=30_000, exponent=2.5, distractors=0, junk=0, largest=500)
    sizes = np.bincount(make_library(spread, plan, seed=1).people)
    assert sizes.max() <= 500
    counts = np.bincount(sizes, minlength=9)[[2, 4, 8]].astype(float)
    assert counts[0] / counts[1] == pytest.approx(2**2.5, rel=0.15)
    assert counts[1] / counts[2] == pytest.approx(2**2.5, rel=0.3)


def test_given_sizes_are_kept(spread: FaceSpread) -> None:
    sizes = np.array([5, 1, 9, 2])
    plain = make_library(spread, LibraryPlan.plain(sizes), seed=0)
    assert np.bincount(plain.people).tolist() == sizes.tolist()
    assert len(np.unique(plain.photo_index)) == 17
    assert set(plain.kind.tolist()) == {FaceKind.USUAL, FaceKind.ALONE}


def test_people_on_one_photo_differ_and_friends_are_together(library: MadeLibrary) -> None:
    pairs = np.stack([library.photo_index, library.people], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    usual = library.kind != FaceKind.JUNK
    faces = np.bincount(library.photo_index[usual])
    assert 0.2 < (faces[library.photo_index[usual]] > 1).mean() <= 0.55  # half were dealt, some to a photo of their own
    companions: dict[int, set[int]] = {}
    order = np.argsort(library.photo_index[usual], kind="stable")
    photos, people = library.photo_index[usual][order], library.people[usual][order]
    for group in np.split(people, np.flatnonzero(np.diff(photos)) + 1):
        for person in group.tolist():
            companions.setdefault(person, set()).update(group.tolist())
    assert max(map(len, companions.values())) <= 12  # of one circle


def test_everybody_has_a_photo_alone_where_nobody_is_together(spread: FaceSpread) -> None:
    library = make_library(spread, replace(PLAN, together=0, junk=0), seed=0)
    assert len(np.unique(library.photo_index)) == len(library.photo_index)


def test_siblings_are_nearer_than_strangers(spread: FaceSpread) -> None:
    library = make_library(spread, replace(PLAN, siblings=1, children=0, distractors=0), seed=2)
    pairs = [(one, other) for one, other in enumerate(library.sibling.tolist()) if one < other]
    assert all(library.sibling[other] == one for one, other in pairs)
    siblings = [mean_between(library, one, other) for one, other in pairs]
    strangers = [mean_between(library, one, pairs[place - 1][1]) for place, (one, _) in enumerate(pairs)]
    assert np.mean(siblings) == pytest.approx(0.37, abs=0.04)  # as of the siblings in LFW
    assert np.mean(np.array(siblings) > np.array(strangers)) > 0.9
    twins = make_library(spread, replace(PLAN, siblings=1, resemblance=0.95, children=0, distractors=0), seed=2)
    assert np.mean([mean_between(twins, one, other) for one, other in pairs]) > np.mean(siblings) + 0.2


def test_children_drift_with_time(spread: FaceSpread) -> None:
    plan = LibraryPlan(sizes=(40,) * 20, children=1, siblings=0, bursts=0, together=0, junk=0)
    library = make_library(spread, plan, seed=3)
    assert library.grows.all()
    same = library.people[:, None] == library.people[None, :]
    apart = np.abs(library.taken[:, None] - library.taken[None, :])
    cosines = similarities(library)
    means = [cosines[same & (apart > low) & (apart <= low + 0.2)].mean() for low in (0.0, 0.2, 0.4, 0.6, 0.8)]
    assert (np.diff(means) < -0.02).all(), means
    assert means[-1] < 0.65 * means[0]
    adults = make_library(spread, replace(plan, children=0), seed=3)
    same = np.triu(adults.people[:, None] == adults.people[None, :], 1)
    assert similarities(adults)[same].mean() == pytest.approx(means[0], abs=0.05)


def test_bursts_repeat_a_face(library: MadeLibrary) -> None:
    cosines = similarities(library)
    np.fill_diagonal(cosines, -1)
    cosines[library.people[:, None] != library.people[None, :]] = -1
    nearest = cosines.max(axis=1)
    assert (nearest[library.kind == FaceKind.REPEAT] > 0.95).all()
    several = np.bincount(library.people)[library.people] > 1
    assert np.median(nearest[several & (library.kind == FaceKind.USUAL)]) < 0.9


def test_junk_is_alike_and_no_face(library: MadeLibrary) -> None:
    junk = library.kind == FaceKind.JUNK
    cosines = similarities(library)
    among = cosines[np.ix_(junk, junk)][np.triu_indices(junk.sum(), 1)]
    assert 0.3 < np.median(among) < 0.6  # real ones: 0.40 to 0.44
    assert np.median(cosines[np.ix_(junk, ~junk)].max(axis=1)) < 0.5


def test_faces_spread_as_real_ones_do(spread: FaceSpread) -> None:
    # On lfw-dev, one face a person, 845 people: 99.99 % of strangers are below 0.56, half have one above 0.45.
    rng = np.random.default_rng(0)  # of the order of sizes
    tails, nearest, own = [], [], []
    for seed in range(4):
        sizes = rng.permutation(np.r_[np.full(600, 1), np.full(245, 3)])
        library = make_library(spread, LibraryPlan.plain(sizes), seed)
        _, first = np.unique(library.people, return_index=True)
        cosines = similarities(library)
        strangers = cosines[np.ix_(first, first)][np.triu_indices(len(first), 1)]
        tails.append(np.quantile(strangers, [0.5, 0.95, 0.9999]))
        one_each = cosines[np.ix_(first, first)] - 2 * np.eye(len(first))
        nearest.append(np.median(one_each.max(axis=1)))
        same = np.triu(library.people[:, None] == library.people[None, :], 1)
        own.append(np.mean(cosines[same]))
    assert np.mean(tails, axis=0) == pytest.approx([0.0, 0.23, 0.57], abs=0.03)
    assert np.mean(nearest) == pytest.approx(0.45, abs=0.02)
    assert np.mean(own) == pytest.approx(0.68, abs=0.02)


@pytest.mark.parametrize("faces", [0, 1, 2, 3])
def test_hardly_any_faces(spread: FaceSpread, faces: int) -> None:
    library = make_library(spread, LibraryPlan(faces=faces), seed=0)
    assert library.embeddings.shape == (faces, 512)
    assert len(library.people) == len(library.photo_index) == faces


@pytest.mark.parametrize(
    "plan", [LibraryPlan(bursts=1.5), LibraryPlan(junk=-0.1), LibraryPlan(distractors=0.9, junk=0.2)]
)
def test_impossible_plans_are_one_sentence(spread: FaceSpread, plan: LibraryPlan) -> None:
    with pytest.raises(WrongUsageError, match="made library"):
        make_library(spread, plan, seed=0)
