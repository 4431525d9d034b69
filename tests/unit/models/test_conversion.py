import numpy as np
import pytest
import torch
from torch.nn import functional as F

from facepipe.errors import WeightsError
from facepipe.models.architectures import check_shapes, expected_shapes
from facepipe.models.conversion import facenet_from_facenet_pytorch, fold_batch_norm, mtcnn_from_facenet_pytorch
from facepipe.models.inception_resnet_v1 import InceptionResNetV1
from tests.facenet_pytorch_layout import Reference, random_state


@pytest.fixture(scope="module")
def theirs() -> dict[str, torch.Tensor]:
    return random_state(seed=1)


def test_folding_a_batch_norm_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(3)
    x, weight = torch.randn(2, 3, 9, 9, generator=generator), torch.randn(5, 3, 3, 3, generator=generator)
    gamma, beta, mean = (torch.randn(5, generator=generator) for _ in range(3))
    variance = torch.tensor([0.0, 1e-3, 0.5, 1.0, 30.0])  # the first two feel epsilon
    expected = F.batch_norm(F.conv2d(x, weight), mean, variance, gamma, beta, eps=0.001)
    arrays = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    folded, bias = fold_batch_norm(weight.numpy(), **{name: value.numpy() for name, value in arrays.items()})
    torch.testing.assert_close(F.conv2d(x, folded, bias), expected, rtol=1e-4, atol=1e-4)


def test_a_batch_norm_of_another_width_is_refused() -> None:
    five, six = np.ones(5, np.float32), np.ones(6, np.float32)
    with pytest.raises(WeightsError, match="batch norm"):
        fold_batch_norm(np.ones((5, 3), np.float32), gamma=five, beta=five, mean=six, variance=five)


def test_the_folded_network_equals_the_unfolded_reference(theirs: dict[str, torch.Tensor]) -> None:
    network = InceptionResNetV1().eval()
    network.load_state_dict(facenet_from_facenet_pytorch(theirs))
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(2))
    expected = Reference(state=dict(theirs))(images)
    with torch.inference_mode():
        ours = network(images)
    assert float(expected.std()) > 0.1  # not a comparison of zeros
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("conv2d_2a.bn.running_var", None, "conv2d_2a.bn.running_var"),
        ("last_linear.weight", torch.zeros(512, 1791), "bottleneck.weight"),
        ("block8.conv2d.bias", torch.zeros(3), r"inception_resnet_c.5.project.bias.*\(3,\).*\(1792,\)"),
        ("another.weight", torch.zeros(3), "'another.weight' too many"),
        ("conv2d_1a.conv.weight", torch.full((32, 3, 3, 3), torch.nan), "stem.conv_1a.weight"),
    ],
)
def test_the_first_difference_is_named(
    theirs: dict[str, torch.Tensor], name: str, value: torch.Tensor | None, message: str
) -> None:
    changed = {**theirs, name: value} if value is not None else {k: v for k, v in theirs.items() if k != name}
    with pytest.raises(WeightsError, match=message):
        facenet_from_facenet_pytorch(changed)


def mtcnn_nets() -> dict[str, dict[str, torch.Tensor]]:
    nets: dict[str, dict[str, torch.Tensor]] = {}
    for name, shape in expected_shapes("mtcnn").items():
        net, _, tensor = name.partition(".")
        nets.setdefault(net, {})[tensor] = torch.randn(shape)
    return nets


def test_mtcnn_keeps_every_tensor_under_its_net() -> None:
    nets = mtcnn_nets()
    state = mtcnn_from_facenet_pytorch(nets)
    assert set(state) == {f"{net}.{name}" for net, tensors in nets.items() for name in tensors}
    assert torch.equal(state["rnet.dense4.weight"], nets["rnet"]["dense4.weight"])


def test_mtcnn_with_two_nets_exchanged_is_refused() -> None:
    nets = mtcnn_nets()
    nets["pnet"], nets["rnet"] = nets["rnet"], nets["pnet"]
    with pytest.raises(WeightsError, match="mtcnn"):
        mtcnn_from_facenet_pytorch(nets)


def test_integers_and_doubles_are_refused() -> None:
    state = {name: torch.zeros(shape) for name, shape in expected_shapes("mtcnn").items()}
    check_shapes(state, "mtcnn", "it")
    state["pnet.conv1.bias"] = state["pnet.conv1.bias"].double()
    with pytest.raises(WeightsError, match="finite floats"):
        check_shapes(state, "mtcnn", "it")
    with pytest.raises(WeightsError, match="no architecture"):
        check_shapes(state, "resnet", "it")
