"""DeepFace's network: the paper's sizes, features, and what is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facepipe.embedders.deepface import DeepFace
from facepipe.errors import WeightsError, WrongUsageError
from facepipe.models.architectures import check_shapes
from facepipe.models.deepface_network import ARCHITECTURE, DeepFaceNetwork, alignment_at, input_size_of, sides_of


def small(people: int = 0) -> DeepFaceNetwork:
    torch.manual_seed(0)
    return DeepFaceNetwork(0.125, 72, people).eval()


def test_it_has_the_papers_sizes() -> None:
    """Figure 2 and section 2.3: 142, 71, 63, 55, 25, 21 pixels; more than 120 million parameters."""
    assert sides_of(152) == (142, 71, 63, 55, 25, 21)
    with torch.device("meta"):
        network = DeepFaceNetwork(people=4030)
    assert (network.L4.side, network.L5.side, network.L6.side, network.dimension) == (55, 25, 21, 4096)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert 100e6 < parameters < 130e6
    local = sum(parameter.numel() for layer in (network.L4, network.L5, network.L6) for parameter in layer.parameters())
    fully = sum(parameter.numel() for parameter in network.F7.parameters())
    assert local + fully > 0.8 * parameters  # "more than 95% come from the local and fully connected layers", with F8


@pytest.mark.parametrize("size", [72, 74, 88, 152])
def test_each_layer_is_as_large_as_told(size: int) -> None:
    network = DeepFaceNetwork(0.0625, size).eval()
    x = torch.rand(1, 3, size, size) * 255
    seen = []
    for layer in (network.C1, network.C3, network.L4, network.L5, network.L6):
        layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output.shape[-1]))
    network(x)
    c1, _m2, *others = sides_of(size)
    assert seen == [c1, *others]
    assert input_size_of({"L4.bias": network.L4.bias.shape}) == size


def test_a_state_tells_the_networks_size() -> None:
    network = small(people=5)
    again = DeepFaceNetwork.shaped_like(network.state_dict())
    again.load_state_dict(network.state_dict())
    assert (again.input_size, again.dimension, again.F8 is not None) == (72, 512, True)
    check_shapes(network.state_dict(), ARCHITECTURE, "a file")
    state = network.state_dict()
    del state["L5.weight"]
    with pytest.raises(WeightsError, match=r"no deepface: the tensor 'L5.weight' is missing"):
        check_shapes(state, ARCHITECTURE, "a file")
    with pytest.raises(WeightsError, match="no weights of DeepFace"):
        DeepFaceNetwork.shaped_like({"conv1_1.weight": torch.zeros(4, 3, 3, 3)})


@settings(deadline=None, max_examples=30)
@given(st.floats(0.04, 1))
def test_every_width_is_known_by_its_tensors(width: float) -> None:
    with torch.device("meta"):
        state = DeepFaceNetwork(width, 72).state_dict()
        again = DeepFaceNetwork.shaped_like(state).state_dict()
    assert {name: values.shape for name, values in again.items()} == {
        name: values.shape for name, values in state.items()
    }


def test_features_are_never_negative_scaled_by_their_maxima_and_of_unit_length() -> None:
    network = small()
    images = torch.rand(6, 3, 72, 72) * 255
    features = network.features(images)
    assert (features >= 0).all()
    assert (features > 0).any(dim=1).all()
    network.maxima.copy_(features.max(dim=0).values)
    scaled = features / features.max(dim=0).values.where(features.max(dim=0).values > 0, 1)
    embeddings = network(images)
    torch.testing.assert_close(embeddings, scaled / scaled.norm(dim=1, keepdim=True))
    network.maxima[:256] = 0  # as if no face of the training had had these
    assert (network(images)[:, :256] == 0).all()
    torch.testing.assert_close(network(images).norm(dim=1), torch.ones(6))


def test_dropout_acts_on_f7_while_it_learns_alone() -> None:
    network = small(people=5)
    images = torch.rand(2, 3, 72, 72) * 255
    assert torch.equal(network.classify(images), network.classify(images))
    network.train()
    assert not torch.equal(network.classify(images), network.classify(images))
    assert torch.equal(network.features(images), network.features(images))


@pytest.mark.parametrize(
    ("width", "size", "sentence"), [(1, 70, "at least 72"), (1, 89, "even"), (0.01, 152, "without")]
)
def test_what_can_not_be_built_is_refused(width: float, size: int, sentence: str) -> None:
    with pytest.raises(WrongUsageError, match=sentence):
        DeepFaceNetwork(width, size)


def test_the_tensor_of_the_alignment_names_one() -> None:
    assert alignment_at(DeepFaceNetwork(0.0625, 72, alignment="2d").alignment.item()) == "2d"
    for number in (3, -1, 0.5, float("nan")):
        with pytest.raises(WeightsError, match="an alignment that there isn't"):
            alignment_at(number)


@pytest.mark.parametrize("alignment", ["box", "2d", "3d"])
def test_an_embedder_tells_how_its_crops_are_to_be_cut(alignment: str) -> None:
    assert DeepFace.of(DeepFaceNetwork(0.0625, 72, alignment=alignment).state_dict()).alignment == alignment


def test_without_a_classifier_nobody_is_classified() -> None:
    with pytest.raises(ValueError, match="no classifier"):
        small().classify(torch.zeros(1, 3, 72, 72))
