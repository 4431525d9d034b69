"""A spread fitted to made faces is the spread that they were made of."""

import numpy as np
import pytest

from facepipe.config import EmbedConfig
from facepipe.errors import WrongUsageError
from facepipe.evaluation import spread_fit
from facepipe.evaluation.made_faces import draw_junk, to_embeddings
from facepipe.evaluation.made_library import LibraryPlan, MadeLibrary, make_library, spread_to_make_of
from facepipe.evaluation.spread_fit import fit_spread, measure_faces
from facepipe.models.face_spread import FaceSpread


@pytest.fixture(scope="module")
def truth() -> FaceSpread:
    return spread_to_make_of(EmbedConfig())


@pytest.fixture(scope="module")
def library(truth: FaceSpread) -> MadeLibrary:
    sizes = np.r_[np.full(300, 1), np.full(300, 3), np.full(80, 10)]
    return make_library(truth, LibraryPlan.plain(sizes), seed=6)


@pytest.fixture(scope="module")
def fitted(truth: FaceSpread, library: MadeLibrary) -> FaceSpread:
    junk = to_embeddings(draw_junk(truth, 400, np.random.default_rng(0)), truth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spread_fit, "ROUNDS", 4)
        patch.setattr(spread_fit, "LIBRARIES", 3)
        return fit_spread(library.embeddings, library.people, junk)


def test_it_comes_back(truth: FaceSpread, fitted: FaceSpread) -> None:
    assert np.exp(fitted.deviation[0]) == pytest.approx(np.exp(truth.deviation[0]), rel=0.05)
    assert fitted.deviation[1:] == pytest.approx(truth.deviation[1:], rel=0.2)
    assert fitted.conditions == pytest.approx(truth.conditions, rel=0.35)
    assert 0.3 < float(fitted.leaning[0] / truth.leaning[0]) ** 2 < 3
    assert fitted.shares.sum() == pytest.approx(1, abs=1e-5)
    # The same part of the space, whatever the axes in it are called.
    assert np.linalg.norm(fitted.axes.T @ truth.axes) ** 2 > 0.97 * 96


def test_junk_comes_back(truth: FaceSpread, fitted: FaceSpread) -> None:
    cosine = (fitted.axes @ fitted.junk[0]) @ (truth.axes @ truth.junk[0])
    lengths = np.linalg.norm(fitted.junk[0]) * np.linalg.norm(truth.junk[0])
    assert cosine / lengths > 0.98
    assert fitted.junk[1].sum() == pytest.approx(1 - lengths, abs=0.1)


def test_libraries_made_of_either_measure_the_same(truth: FaceSpread, fitted: FaceSpread, library: MadeLibrary) -> None:
    sizes = np.bincount(library.people)
    made = [make_library(fitted, LibraryPlan.plain(sizes), seed) for seed in (1, 2, 3)]
    again = np.mean([measure_faces(one.embeddings, one.people) for one in made], axis=0)
    assert again[:3] == pytest.approx(measure_faces(library.embeddings, library.people)[:3], rel=0.07)


def test_every_type_is_of_several_people(fitted: FaceSpread) -> None:
    assert fitted.shares.min() * 680 >= spread_fit.LEAST_PEOPLE - 0.01


def test_too_few_faces_are_one_sentence(library: MadeLibrary) -> None:
    some = library.people < 100
    with pytest.raises(WrongUsageError, match="too few faces"):
        fit_spread(library.embeddings[some], library.people[some], library.embeddings[:5])
    with pytest.raises(WrongUsageError, match="too few faces"):
        fit_spread(library.embeddings, library.people, library.embeddings[:0])
