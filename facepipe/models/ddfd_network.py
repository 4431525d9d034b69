"""DDFD's network: AlexNet, with where in its window a face lies and what its logits are worth.

Source: Farfade, Saberian and Li 2015, "Multi-view Face Detection Using Deep Convolutional Neural Networks", section 3.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from facepipe.models.alexnet import AlexNet

FACE_SHARE = 0.5  # of the window's side is the side of the square of the face that it asks for: the rest is context


class DDFDNetwork(AlexNet):
    """A logit for each window, and two things learned beside it.

    Attributes:
        face_box: (4,) `box_xyxy` of the face, in units of the window's side.
        calibration: (2,) slope and intercept: sigmoid(slope * logit + intercept) is the share of faces among
            detections of such a logit.
    """

    face_box: Tensor
    calibration: Tensor

    def __init__(self, width: float = 0.25, crop: int = 97) -> None:
        """Build the network; see `AlexNet`."""
        super().__init__(width, crop)
        self._add_buffers()

    @classmethod
    def shaped_like(cls, state: Mapping[str, Tensor]) -> "DDFDNetwork":
        """Return a network of the sizes that a state dict's tensors have; see `AlexNet`."""
        network = super().shaped_like(state)
        if not isinstance(network, cls):
            raise TypeError(type(network))
        network._add_buffers()
        return network

    def _add_buffers(self) -> None:
        edge = (1 - FACE_SHARE) / 2
        self.register_buffer("face_box", torch.tensor([edge, edge, 1 - edge, 1 - edge]))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))
