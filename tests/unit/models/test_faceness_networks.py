"""Part networks and the classifier: shapes, what a cell depends on, and batch normalisation folded away."""

import pytest
import torch

from facepipe.errors import WeightsError
from facepipe.models.architectures import check_shapes, expected_shapes
from facepipe.models.faceness_networks import (
    PARTS,
    FacenessClassifier,
    PartNet,
    attributes_of,
    fold_normalisation,
)
from facepipe.models.tensors import part_of


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(5)


@torch.inference_mode()
@pytest.mark.parametrize(("height", "width"), [(4, 4), (24, 31), (33, 18), (48, 48)])
def test_a_response_for_each_cell_of_four_pixels(height: int, width: int) -> None:
    logits = PartNet(attributes=3)(torch.rand(2, 3, height, width))
    assert logits.shape == (2, 4, -(-height // 4), -(-width // 4))


@torch.inference_mode()
def test_a_cell_depends_on_no_more_than_its_reach() -> None:
    network = PartNet().eval()
    image = torch.rand(1, 3, 96, 96)
    changed = image.clone()
    cell, reach = 12, PartNet.reach
    near = slice(cell * 4 - reach, cell * 4 + 4 + reach)
    inside = torch.zeros(96, 96, dtype=torch.bool)
    inside[near, near] = True
    changed[:, :, ~inside] = torch.rand(1)
    torch.testing.assert_close(network(changed)[..., cell, cell], network(image)[..., cell, cell])
    changed[:, :, cell * 4, cell * 4] += 1
    assert not torch.allclose(network(changed)[..., cell, cell], network(image)[..., cell, cell])


@torch.inference_mode()
def test_normalisation_goes_into_the_convolutions() -> None:
    for network, plain, size in (
        (PartNet(2, normalise=True), PartNet(2), 32),
        (FacenessClassifier(normalise=True), FacenessClassifier(), 48),
    ):
        for _ in range(3):
            network(torch.randn(8, 3, size, size) * 2 + 1)  # so that means and variances are not 0 and 1
        plain.load_state_dict(fold_normalisation(network.state_dict()))
        crops = torch.randn(4, 3, size, size)
        torch.testing.assert_close(plain.eval()(crops), network.eval()(crops), atol=1e-4, rtol=1e-4)


def test_a_state_dict_tells_how_many_attributes_each_part_knows() -> None:
    shapes = expected_shapes("faceness")
    assert {name.split(".")[0] for name in shapes} == {"parts", "arrangement", "classifier", "calibration"}
    state = {name: torch.zeros(shape) for name, shape in shapes.items()}
    check_shapes(state, "faceness", "here")
    for name, value in PartNet(attributes=2).state_dict().items():
        state[f"parts.nose.{name}"] = value
    check_shapes(state, "faceness", "here")
    assert [attributes_of(state, part) for part in PARTS] == [0, 0, 2, 0, 0]
    assert set(part_of(state, "arrangement.")) == {"regions", "scale"}
    del state["parts.beard.head.bias"]
    with pytest.raises(WeightsError, match=r"parts\.beard\.head\.bias"):
        check_shapes(state, "faceness", "here")


def test_weights_in_half_precision_take_less_than_three_megabytes() -> None:
    numbers = sum(torch.Size(shape).numel() for shape in expected_shapes("faceness").values())
    assert numbers * 2 < 3_000_000
