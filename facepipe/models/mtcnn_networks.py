"""The three networks of MTCNN, structured and named as in the pretrained state dicts.

Source: Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", IEEE Signal Processing Letters 23(10), 2016, section II.B and figure 2.

All three take RGB as (pixel - 127.5) / 128 and return for each window the probability that it shows a face and the
offsets of the face's edges from the window's (x0, y0, x1, y1; in units of the window's side). The pretrained weights
come from Matlab, which stores arrays column by column: feature maps are flattened in that order.
"""

import torch
from torch import Tensor, nn


class PNet(nn.Module):
    """Proposal network: a 12 x 12 window that slides over the image in steps of 2, as one fully convolutional pass."""

    window = 12
    stride = 2

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 10, 3)
        self.prelu1 = nn.PReLU(10)
        self.pool1 = nn.MaxPool2d(2, 2, ceil_mode=True)
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
        x = self.pool1(self.prelu1(self.conv1(image)))  # (B, 10, h + 4, w + 4)
        x = self.prelu2(self.conv2(x))  # (B, 16, h + 2, w + 2)
        x = self.prelu3(self.conv3(x))  # (B, 32, h, w)
        return _face_probability(self.conv4_1(x)), self.conv4_2(x)


class RNet(nn.Module):
    """Refinement network: looks again, at 24 x 24 px, at what P-Net proposed."""

    window = 24

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 28, 3)
        self.prelu1 = nn.PReLU(28)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(28, 48, 3)
        self.prelu2 = nn.PReLU(48)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(48, 64, 2)
        self.prelu3 = nn.PReLU(64)
        self.dense4 = nn.Linear(576, 128)
        self.prelu4 = nn.PReLU(128)
        self.dense5_1 = nn.Linear(128, 2)
        self.dense5_2 = nn.Linear(128, 4)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return face probability (N,) and edge offsets (N, 4) for crops (N, 3, 24, 24)."""
        x = self.pool1(self.prelu1(self.conv1(crops)))  # (N, 28, 11, 11)
        x = self.pool2(self.prelu2(self.conv2(x)))  # (N, 48, 4, 4)
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
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.prelu2 = nn.PReLU(64)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.prelu3 = nn.PReLU(64)
        self.pool3 = nn.MaxPool2d(2, 2, ceil_mode=True)
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
        x = self.pool1(self.prelu1(self.conv1(crops)))  # (N, 32, 23, 23)
        x = self.pool2(self.prelu2(self.conv2(x)))  # (N, 64, 10, 10)
        x = self.pool3(self.prelu3(self.conv3(x)))  # (N, 64, 4, 4)
        x = self.prelu4(self.conv4(x))  # (N, 128, 3, 3)
        x = self.prelu5(self.dense5(_flatten_by_columns(x)))  # (N, 256)
        landmarks = self.dense6_3(x).view(-1, 2, 5).transpose(1, 2)  # five x, then five y -> (N, 5, 2)
        return _face_probability(self.dense6_1(x)), self.dense6_2(x), landmarks


def _face_probability(logits: Tensor) -> Tensor:
    """Return the softmax of class 1 (face) against class 0 along dimension 1 of `logits` (N, 2, ...)."""
    return torch.sigmoid(logits[:, 1] - logits[:, 0])


def _flatten_by_columns(x: Tensor) -> Tensor:
    """Return feature maps (N, C, H, W) as vectors (N, W * H * C): the order in which the dense weights were trained."""
    return x.permute(0, 3, 2, 1).flatten(1)
