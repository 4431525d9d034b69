"""Inception-ResNet-v1 with its batch norms still in place, its state dict named as in facenet-pytorch's release files.

A reference for tests, written as one function over a dict of tensors and without any module of the package: weights are
drawn when they are first asked for, so that running it once also makes a state dict of that layout.
"""

import torch
from torch.nn import functional as F

StateDict = dict[str, torch.Tensor]
Size = tuple[int, int]


class Reference:
    """The network: `reference(images)` gives (B, 512); `state` fills up on the first call."""

    def __init__(self, seed: int = 0, state: StateDict | None = None) -> None:
        self.state: StateDict = {} if state is None else state
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self.network(images)

    def network(self, x: torch.Tensor) -> torch.Tensor:
        x = self.basic(x, "conv2d_1a", 32, (3, 3), stride=2)
        x = self.basic(x, "conv2d_2a", 32, (3, 3))
        x = self.basic(x, "conv2d_2b", 64, (3, 3), padding=(1, 1))
        x = F.max_pool2d(x, 3, 2)
        x = self.basic(x, "conv2d_3b", 80, (1, 1))
        x = self.basic(x, "conv2d_4a", 192, (3, 3))
        x = self.basic(x, "conv2d_4b", 256, (3, 3), stride=2)
        for i in range(5):
            x = self.block35(x, f"repeat_1.{i}")
        x = self.mixed_6a(x)
        for i in range(10):
            x = F.relu(x + 0.10 * self.two_branches(x, f"repeat_2.{i}", 128, (1, 7), (7, 1)))
        x = self.mixed_7a(x)
        for i in range(5):
            x = F.relu(x + 0.20 * self.two_branches(x, f"repeat_3.{i}", 192, (1, 3), (3, 1)))
        x = x + self.two_branches(x, "block8", 192, (1, 3), (3, 1))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        x = x @ self.weight("last_linear.weight", 512, 1792).T
        return self.norm(x, "last_bn")

    def block35(self, x: torch.Tensor, name: str) -> torch.Tensor:
        x0 = self.basic(x, f"{name}.branch0", 32, (1, 1))
        x1 = self.basic(self.basic(x, f"{name}.branch1.0", 32, (1, 1)), f"{name}.branch1.1", 32, (3, 3), padding=(1, 1))
        x2 = self.basic(self.basic(x, f"{name}.branch2.0", 32, (1, 1)), f"{name}.branch2.1", 32, (3, 3), padding=(1, 1))
        x2 = self.basic(x2, f"{name}.branch2.2", 32, (3, 3), padding=(1, 1))
        return F.relu(x + 0.17 * self.project(torch.cat((x0, x1, x2), 1), name, 256))

    def two_branches(self, x: torch.Tensor, name: str, width: int, first: Size, second: Size) -> torch.Tensor:
        x0 = self.basic(x, f"{name}.branch0", width, (1, 1))
        x1 = self.basic(x, f"{name}.branch1.0", width, (1, 1))
        x1 = self.basic(x1, f"{name}.branch1.1", width, first, padding=(first[0] // 2, first[1] // 2))
        x1 = self.basic(x1, f"{name}.branch1.2", width, second, padding=(second[0] // 2, second[1] // 2))
        return self.project(torch.cat((x0, x1), 1), name, x.shape[1])

    def mixed_6a(self, x: torch.Tensor) -> torch.Tensor:
        x0 = self.basic(x, "mixed_6a.branch0", 384, (3, 3), stride=2)
        x1 = self.basic(x, "mixed_6a.branch1.0", 192, (1, 1))
        x1 = self.basic(x1, "mixed_6a.branch1.1", 192, (3, 3), padding=(1, 1))
        x1 = self.basic(x1, "mixed_6a.branch1.2", 256, (3, 3), stride=2)
        return torch.cat((x0, x1, F.max_pool2d(x, 3, 2)), 1)

    def mixed_7a(self, x: torch.Tensor) -> torch.Tensor:
        x0 = self.basic(self.basic(x, "mixed_7a.branch0.0", 256, (1, 1)), "mixed_7a.branch0.1", 384, (3, 3), stride=2)
        x1 = self.basic(self.basic(x, "mixed_7a.branch1.0", 256, (1, 1)), "mixed_7a.branch1.1", 256, (3, 3), stride=2)
        x2 = self.basic(x, "mixed_7a.branch2.0", 256, (1, 1))
        x2 = self.basic(x2, "mixed_7a.branch2.1", 256, (3, 3), padding=(1, 1))
        x2 = self.basic(x2, "mixed_7a.branch2.2", 256, (3, 3), stride=2)
        return torch.cat((x0, x1, x2, F.max_pool2d(x, 3, 2)), 1)

    def basic(
        self, x: torch.Tensor, name: str, channels: int, kernel: Size, stride: int = 1, padding: Size = (0, 0)
    ) -> torch.Tensor:
        weight = self.weight(f"{name}.conv.weight", channels, x.shape[1], *kernel)
        return F.relu(self.norm(F.conv2d(x, weight, stride=stride, padding=padding), f"{name}.bn"))

    def project(self, x: torch.Tensor, name: str, channels: int) -> torch.Tensor:
        weight = self.weight(f"{name}.conv2d.weight", channels, x.shape[1], 1, 1)
        return F.conv2d(x, weight, self.draw(f"{name}.conv2d.bias", channels))

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        channels = x.shape[1]
        weight, bias = self.draw(f"{name}.weight", channels, 1.0), self.draw(f"{name}.bias", channels)
        mean, variance = self.draw(f"{name}.running_mean", channels), self.draw(f"{name}.running_var", channels, 1.0)
        self.state.setdefault(f"{name}.num_batches_tracked", torch.tensor(275))
        return F.batch_norm(x, mean, variance.abs(), weight, bias, eps=0.001)

    def weight(self, name: str, *shape: int) -> torch.Tensor:
        if name not in self.state:
            inputs = torch.Size(shape[1:]).numel()
            self.state[name] = torch.randn(shape, generator=self.generator) * (2 / inputs) ** 0.5
        return self.state[name]

    def draw(self, name: str, channels: int, middle: float = 0.0) -> torch.Tensor:
        if name not in self.state:
            self.state[name] = middle + 0.1 * torch.randn(channels, generator=self.generator)
        return self.state[name]


def random_state(seed: int = 0) -> StateDict:
    """Return a state dict of that layout with random weights and, as the release files have it, a classifier."""
    reference = Reference(seed)
    reference(torch.zeros(1, 3, 160, 160))
    return reference.state | {"logits.weight": torch.zeros(7, 512), "logits.bias": torch.zeros(7)}
