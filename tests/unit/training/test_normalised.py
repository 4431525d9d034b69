import torch

from facepipe.models.ddfd_network import DDFDNetwork
from facepipe.training.ddfd.normalised import Normalised, fold


def test_a_folded_network_says_what_the_normalised_one_says() -> None:
    torch.manual_seed(0)
    learner = Normalised(DDFDNetwork(0.1))
    for parameter in learner.norms.parameters():
        torch.nn.init.normal_(parameter)
    torch.nn.init.normal_(learner.network.get_parameter("classifier.6.weight"))
    learner.train()(torch.randn(4, 3, 97, 97))  # moves the running statistics
    learner.eval()
    plain = DDFDNetwork(0.1).eval()
    plain.load_state_dict(fold(learner.state_dict()))
    crops = torch.randn(3, 3, 97, 97)
    with torch.inference_mode():
        expected = learner(crops)
        torch.testing.assert_close(plain(crops), expected, atol=1e-3, rtol=1e-4)
    assert expected.std() > 0.1
