from dataclasses import replace

import numpy as np
import pytest
import torch

from facepipe.detectors.hog.model import HogModel
from facepipe.models.architectures import check_shapes, expected_shapes
from tests.unit.detectors.hog.one_face import BLOCKS, CELL, SIDE, one_face_model


def test_a_state_dict_holds_all_of_a_model() -> None:
    model = one_face_model()
    state = model.to_state()
    check_shapes({name: values.half() for name, values in state.items()}, "hog", "this")
    again = HogModel.from_state(state)
    assert (again.cell, again.bias, again.slope, again.intercept) == (model.cell, model.bias, 4.0, -0.5)
    for name in ("tables", "box_mean", "box_tables"):
        assert (getattr(again, name) == getattr(model, name)).all()
    assert (again.codebook.words == model.codebook.words).all()
    assert (again.blocks, again.side) == (BLOCKS, SIDE)
    assert again.face_height == pytest.approx(0.7 * SIDE)
    assert set(expected_shapes("hog")) == set(state)


def test_half_precision_keeps_the_cell_and_nearly_all_else() -> None:
    model = one_face_model()
    half = HogModel.from_state({name: values.to(torch.float16) for name, values in model.to_state().items()})
    assert half.cell == CELL
    assert np.abs(half.codebook.words - model.codebook.words).max() < 1e-3


def test_scores_and_margins_are_each_others_inverse() -> None:
    model = replace(one_face_model(), slope=1.7, intercept=-0.4)
    for score in (0.05, 0.5, 0.9):
        assert model.score(np.array([model.margin(score)]))[0] == pytest.approx(score)
    assert model.margin(0.0) == -np.inf
    assert model.score(np.array([-1e6, 1e6])).tolist() == pytest.approx([0, 1])
