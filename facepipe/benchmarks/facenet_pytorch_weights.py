"""Our embedder's weights in facenet-pytorch's layout, so that both networks compute the same function."""

from collections.abc import Mapping

import torch

from facepipe.models.conversion import BATCH_NORM_EPSILON
from facepipe.models.facenet_layers import layer_names, projection_names

StateDict = dict[str, torch.Tensor]


def facenet_to_facenet_pytorch(ours: Mapping[str, torch.Tensor]) -> StateDict:
    """Return a state dict for facenet-pytorch's InceptionResnetV1 from one of InceptionResNetV1.

    Our batch norms are folded into the layers before them; theirs then only add the bias.
    """
    theirs: StateDict = {}
    for name, _, place in layer_names():
        theirs[f"{place}.conv.weight"] = ours[f"{name}.weight"]
        theirs |= _only_bias(f"{place}.bn", ours[f"{name}.bias"])
    for name, _, place in projection_names():
        theirs[f"{place}.conv2d.weight"] = ours[f"{name}.project.weight"]
        theirs[f"{place}.conv2d.bias"] = ours[f"{name}.project.bias"]
    theirs["last_linear.weight"] = ours["bottleneck.weight"]
    return theirs | _only_bias("last_bn", ours["bottleneck.bias"])


def _only_bias(norm: str, bias: torch.Tensor) -> StateDict:
    """Return the tensors of a batch norm that adds a bias (C,) and does nothing else."""
    return {
        f"{norm}.weight": torch.ones_like(bias),
        f"{norm}.bias": bias,
        f"{norm}.running_mean": torch.zeros_like(bias),
        f"{norm}.running_var": torch.full_like(bias, 1 - BATCH_NORM_EPSILON),
        f"{norm}.num_batches_tracked": torch.tensor(0),
    }
