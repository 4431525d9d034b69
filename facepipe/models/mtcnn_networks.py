"""The three networks of MTCNN, structured and named as in the pretrained state dicts.

Source: Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", IEEE Signal Processing Letters 23(10), 2016, section II.B and figure 2.

All three take RGB as (pixel - 127.5) / 128 and return for each window the probability that it shows a face and the
offsets of the face's edges from the window's (x0, y0, x1, y1; in units of the window's side). The pretrained weights
come from Matlab, which stores arrays column by column: feature maps are flattened in that order.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PNet(nn.Module):
    """Proposal network: a 12 x 12 window that slides over the image in steps of 2, as one fully convolutional pass."""

    window = 12
    stride = 2

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 10, 3)
        self.prelu1 = nn.PReLU(10)
        self.conv2 = nn.Conv2d(10, 16, 3)
        self.prelu2 = nn.PReLU(16)
        self.conv3 = nn.Conv2d(16, 32, 3)
        self.prelu3 = nn.PReLU(32)
        self.conv4_1 = nn.Conv2d(32, 2, 1)
        self.conv4_2 = nn.Conv2d(32, 4, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return face probability (B, h, w) and edge offsets (B, 4, h, w) for images (B, 3, H, W).

        The window of cell (i, j) covers rows 2i to 2i + 12 and columns 2j to 2j + 12; h = ceil((H - 2) / 2) - 4, w
        likewise, so that the last window may reach one pixel past an odd edge. H and W are at least 12.
        """
        x = max_pool(self.prelu1(self.conv1(image)), 2)  # (B, 10, h + 4, w + 4)
        x = self.prelu2(self.conv2(x))  # (B, 16, h + 2, w + 2)
        x = self.prelu3(self.conv3(x))  # (B, 32, h, w)
        # Both heads at once, as one product of matrices: two 1 x 1 convolutions of so few channels take twice as long.
        weight = torch.cat([self.conv4_1.weight, self.conv4_2.weight]).flatten(1)  # (6, 32)
        bias = torch.cat([self.get_parameter("conv4_1.bias"), self.get_parameter("conv4_2.bias")])
        heads = F.linear(x.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)  # (B, 6, h, w)
        return _face_probability(heads[:, :2]), heads[:, 2:]


class RNet(nn.Module):
    """Refinement network: looks again, at 24 x 24 px, at what P-Net proposed."""

    window = 24

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 28, 3)
        self.prelu1 = nn.PReLU(28)
        self.conv2 = nn.Conv2d(28, 48, 3)
        self.prelu2 = nn.PReLU(48)
        self.conv3 = nn.Conv2d(48, 64, 2)
        self.prelu3 = nn.PReLU(64)
        self.dense4 = nn.Linear(576, 128)
        self.prelu4 = nn.PReLU(128)
        self.dense5_1 = nn.Linear(128, 2)
        self.dense5_2 = nn.Linear(128, 4)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return face probability (N,) and edge offsets (N, 4) for crops (N, 3, 24, 24)."""
        x = max_pool(self.prelu1(self.conv1(crops)), 3)  # (N, 28, 11, 11)
        x = max_pool(self.prelu2(self.conv2(x)), 3)  # (N, 48, 4, 4)
        x = self.prelu3(self.conv3(x))  # (N, 64, 3, 3)
        x = self.prelu4(self.dense4(_flatten_by_columns(x)))  # (N, 128)
        return _face_probability(self.dense5_1(x)), self.dense5_2(x)


class ONet(nn.Module):
    """Output network: decides at 48 x 48 px and places five landmarks."""

    window = 48

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3)
        self.prelu1 = nn.PReLU(32)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.prelu2 = nn.PReLU(64)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.prelu3 = nn.PReLU(64)
        self.conv4 = nn.Conv2d(64, 128, 2)
        self.prelu4 = nn.PReLU(128)
        self.dense5 = nn.Linear(1152, 256)
        self.prelu5 = nn.PReLU(256)
        self.dense6_1 = nn.Linear(256, 2)
        self.dense6_2 = nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return face probability (N,), edge offsets (N, 4) and landmarks (N, 5, 2) for crops (N, 3, 48, 48).

        Landmarks are x and y in units of the crop's side from its upper left corner: image-left eye, image-right eye,
        nose, image-left and image-right mouth corner.
        """
        x = max_pool(self.prelu1(self.conv1(crops)), 3)  # (N, 32, 23, 23)
        x = max_pool(self.prelu2(self.conv2(x)), 3)  # (N, 64, 10, 10)
        x = max_pool(self.prelu3(self.conv3(x)), 2)  # (N, 64, 4, 4)
        x = self.prelu4(self.conv4(x))  # (N, 128, 3, 3)
        x = self.prelu5(self.dense5(_flatten_by_columns(x)))  # (N, 256)
        landmarks = self.dense6_3(x).view(-1, 2, 5).transpose(1, 2)  # five x, then five y -> (N, 5, 2)
        return _face_probability(self.dense6_1(x)), self.dense6_2(x), landmarks


def max_pool(x: Tensor, size: int) -> Tensor:
    """Return the greatest values of windows 2 apart: (B, C, H, W) becomes (B, C, h, w), h = ceil((H - size) / 2) + 1.

    The last window of a row or column may reach past the edge. On a processor this is faster than torch's own pooling,
    which it equals to the bit: whole rows are compared, and the windows' two directions one after the other.

    Args:
        x: of any layout; fast where the channels are last in memory.
        size: side of the windows, 2 or 3.
    """
    if x.requires_grad or x.device.type != "cpu":  # what is written in place has no gradient
        return F.max_pool2d(x, size, 2, ceil_mode=True)
    return _pool_along(3, _pool_along(2, x, size), size)


def _pool_along(dim: int, x: Tensor, size: int) -> Tensor:
    """Return the greatest of `size` neighbours along one dimension, 2 apart."""
    length = x.shape[dim]
    windows = -((size - length) // 2) + 1
    neighbours = [_every_second(dim, x, offset, windows) for offset in range(size)]
    whole = length // 2 >= windows  # every window has a second neighbour
    pooled = torch.maximum(neighbours[0], neighbours[1]) if whole else neighbours[0].clone()
    for neighbour in neighbours[2 if whole else 1 :]:
        within = pooled.narrow(dim, 0, neighbour.shape[dim])
        torch.maximum(within, neighbour, out=within)
    return pooled


def _every_second(dim: int, x: Tensor, offset: int, count: int) -> Tensor:
    """Return every second slice along a dimension from `offset` on, at most `count`, as a view."""
    stop = offset + 2 * count
    return x[:, :, offset:stop:2] if dim == 2 else x[:, :, :, offset:stop:2]


def _face_probability(logits: Tensor) -> Tensor:
    """Return the softmax of class 1 (face) against class 0 along dimension 1 of `logits` (N, 2, ...)."""
    return torch.sigmoid(logits[:, 1] - logits[:, 0])


def _flatten_by_columns(x: Tensor) -> Tensor:
    """Return feature maps (N, C, H, W) as vectors (N, W * H * C): the order in which the dense weights were trained."""
    return x.permute(0, 3, 2, 1).flatten(1)
