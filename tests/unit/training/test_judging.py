"""Networks are judged by many people, and by how far apart these are."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from facepipe.training.judging import JUDGED_OF_EACH, judge, separation
from facepipe.training.people import rank_of_each
from tests.drawn_people import FACES, draw_people


@given(st.lists(st.integers(-1, 4), max_size=30))
def test_ranks_count_who_stood_before(people: list[int]) -> None:
    slow = [people[:place].count(one) for place, one in enumerate(people)]
    assert rank_of_each(np.array(people, np.int64)).tolist() == slow


def test_separation_is_in_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    similarities = np.concatenate([rng.normal(0.6, 0.1, 20_000), rng.normal(0.2, 0.1, 20_000)])
    assert separation(similarities, np.arange(40_000) < 20_000) == pytest.approx(4, abs=0.05)
    assert separation(np.ones(4), np.array([True, True, False, False])) == 0


def test_a_person_of_many_photos_counts_like_others(tmp_path: Path) -> None:
    faces = draw_people(tmp_path, 24)

    def network(crops: Tensor) -> Tensor:
        shrunk = F.interpolate(crops.permute(0, 3, 1, 2).float(), 6)
        return F.normalize(shrunk.flatten(1) - 127.5, dim=1)

    one, others = np.arange(FACES), np.arange(FACES, 10 * FACES)
    often, enough = np.tile(one, 20), np.resize(one, JUDGED_OF_EACH)
    assert judge(network, faces, np.concatenate([often, others])) == judge(
        network, faces, np.concatenate([enough, others])
    )
