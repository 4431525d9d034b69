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


def test_scores_are_logistic_in_the_margin() -> None:
    model = replace(one_face_model(), slope=1.7, intercept=-0.4)
    margin = np.array([-2.0, 0.0, 0.3, 5.0])
    assert model.score(margin) == pytest.approx(1 / (1 + np.exp(0.4 - 1.7 * margin)))
    assert model.score(np.array([-1e6, 1e6])).tolist() == pytest.approx([0, 1])
