"""Who is held out, and whose faces make a batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepipe.errors import TrainingError
from facepipe.training.people import NOBODY, PeopleSampler, hold_out, split


def make_people(several: int, single: int, seed: int = 0) -> np.ndarray:
    """So many people with 2 to 5 faces, and so many with one, in random order."""
    rng = np.random.default_rng(seed)
    rows = [name for name in range(several) for _ in range(rng.integers(2, 6))] + list(range(several, several + single))
    return rng.permutation(rows).astype(np.int64)


@given(
    st.integers(2, 8), st.integers(0, 8), st.integers(1, 6), st.integers(2, 6), st.integers(0, 5), st.integers(0, 99)
)
@settings(max_examples=100, deadline=None)
def test_a_batch_has_faces_of_people_and_others(
    several: int, single: int, people: int, faces: int, others: int, seed: int
) -> None:
    person = make_people(several, single, seed)
    sampler = PeopleSampler(person, people, faces, others)
    rows = sampler.draw(np.random.default_rng(seed))
    chosen = min(people, several)
    of_people = person[rows[: chosen * faces]].reshape(chosen, faces)
    assert (of_people == of_people[:, :1]).all()
    assert len(set(of_people[:, 0].tolist())) == chosen
    for block in rows[: chosen * faces].reshape(chosen, faces):
        have = int((person == person[block[0]]).sum())
        assert len(set(block.tolist())) >= min(have, faces) if have >= faces else True
    of_others = person[rows[chosen * faces :]]
    assert not set(of_others.tolist()) & set(of_people[:, 0].tolist())
    assert len(of_others) == (others if several + single > chosen else 0)
    assert len(rows) <= sampler.rows
    if several + single - chosen >= others:
        assert len(set(of_others.tolist())) == others


def test_batches_that_hold_no_triplets_are_refused() -> None:
    with pytest.raises(TrainingError, match="at least 2 faces"):
        PeopleSampler(make_people(4, 0), 2, 1, 2)
    with pytest.raises(TrainingError, match="1 of 5 people have more than one face"):
        PeopleSampler(make_people(1, 4), 2, 2, 2)


def test_a_tenth_of_the_people_is_held_out_whole() -> None:
    person = make_people(40, 60)
    held = hold_out(person, seed=1)
    names = set(person[held].tolist())
    assert not names & set(person[~held].tolist())
    assert len([name for name in names if name < 40]) == 4
    assert len([name for name in names if name >= 40]) == 6
    assert (hold_out(person, seed=1) == held).all()
    assert (hold_out(person, seed=2) != held).any()


def test_too_few_people_are_refused() -> None:
    assert len(set(make_people(4, 0)[hold_out(make_people(4, 0), 0)].tolist())) == 2
    with pytest.raises(TrainingError, match="3 of 13 people have more than one face: training needs at least 4"):
        hold_out(make_people(3, 10), 0)


def test_nobody_is_neither_learned_from_nor_held_out() -> None:
    person = make_people(60, 40)
    person[:30] = NOBODY
    learned, judged = split(person, seed=1)
    assert len(learned) + len(judged) == len(person) - 30
    assert (person[np.concatenate([learned, judged])] != NOBODY).all()
