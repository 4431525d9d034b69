"""A layer like a convolution whose kernels differ from place to place.

Source: Taigman, Yang, Ranzato and Wolf, "DeepFace" (CVPR 2014), section 3.1, layers L4 to L6: an aligned face looks
different at different places, so nothing is gained by the same kernels everywhere.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LocallyConnected2d(nn.Module):
    """Each place of the output has kernels of its own.

    All places are done at once: patches are laid side by side, and one batched product of matrices, a place a matrix,
    takes (faces, patch) by (patch, channels).
    """

    def __init__(self, before: int, after: int, side: int, kernel: int, stride: int = 1) -> None:
        """Build the layer.

        Args:
            before: channels of the input.
            after: channels of the output.
            side: of the input, in pixels.
            kernel: side of a patch.
            stride: pixels from a patch to the next.

        Raises:
            ValueError: no patch fits into the input.
        """
        super().__init__()
        if side < kernel:
            raise ValueError(f"patches of {kernel} pixels don't fit into an input of {side}")
        self.kernel, self.stride = kernel, stride
        self.side = (side - kernel) // stride + 1
        places, patch = self.side**2, before * kernel**2
        self.weight = nn.Parameter(torch.empty(places, patch, after))  # (L, C K K, O)
        self.bias = nn.Parameter(torch.zeros(places, after))  # (L, O)
        nn.init.normal_(self.weight, std=(2 / patch) ** 0.5)  # as He et al. (2015) have it

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, O, side, side) of (B, C, S, S)."""
        patches = F.unfold(x, self.kernel, stride=self.stride).permute(2, 0, 1)  # (L, B, C K K)
        outputs = torch.baddbmm(self.bias[:, None, :], patches, self.weight)  # (L, B, O)
        return outputs.permute(1, 2, 0).reshape(len(x), -1, self.side, self.side)
