import torch

from facepipe.models.architectures import expected_shapes
from facepipe.models.facenet_layers import layer_names, projection_names
from facepipe.models.inception_resnet_v1 import ConvReLU, InceptionResNetBlock, InceptionResNetV1


def test_shapes_through_the_network() -> None:
    network = InceptionResNetV1().eval()
    with torch.inference_mode():
        x = network.stem(torch.zeros(2, 3, 160, 160))
        assert x.shape == (2, 256, 17, 17)
        x = network.reduction_a(network.inception_resnet_a(x))
        assert x.shape == (2, 896, 8, 8)
        x = network.reduction_b(network.inception_resnet_b(x))
        assert x.shape == (2, 1792, 3, 3)
        assert network(torch.zeros(0, 3, 160, 160)).shape == (0, 512)


def test_the_table_of_names_holds_every_layer_once() -> None:
    modules = dict(InceptionResNetV1().named_modules())
    convolutions = [name for name, module in modules.items() if isinstance(module, ConvReLU)]
    blocks = [name for name, module in modules.items() if isinstance(module, InceptionResNetBlock)]
    assert sorted(ours for ours, _, _ in layer_names()) == sorted(convolutions)
    assert sorted(ours for ours, _, _ in projection_names()) == sorted(blocks)
    for names in (layer_names(), projection_names()):
        for column in range(3):
            assert len({name[column] for name in names}) == len(names)
    assert len(convolutions) + len(blocks) == 132  # as many convolutions as facenet's graph has


def test_the_last_block_may_be_negative_and_the_others_not() -> None:
    network = InceptionResNetV1().eval()
    with torch.inference_mode():
        x = network.inception_resnet_c[:-1](torch.randn(1, 1792, 3, 3, generator=torch.Generator().manual_seed(1)))
        assert float(x.min()) >= 0
        assert float(network.inception_resnet_c[-1](x).min()) < 0


def test_expected_shapes() -> None:
    shapes = expected_shapes("inception_resnet_v1")
    assert shapes["stem.conv_1a.weight"] == (32, 3, 3, 3)
    assert shapes["bottleneck.weight"] == (512, 1792)
    assert set(shapes) == set(InceptionResNetV1().state_dict())
    assert expected_shapes("mtcnn")["pnet.conv4_2.weight"] == (4, 32, 1, 1)
