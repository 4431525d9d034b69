"""Losses of samples of three kinds: negatives, positives and part faces (`windows.kinds_of`).

Source: Zhang, Zhang, Li and Qiao 2016 (MTCNN), section II.C.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from facepipe.training.windows import PART, POSITIVE

HARD_SHARE = 0.7  # of a batch's samples: those with the greatest loss teach face classification


def hard_face_loss(probability: Tensor, kind: Tensor) -> Tensor:
    """Return the mean cross entropy of the hardest samples: HARD_SHARE of positives and negatives (section II.C).

    Args:
        probability: (N,) of a face.
        kind: (N,) NEGATIVE, POSITIVE, or PART, which is neither.
    """
    judged = kind != PART
    with torch.autocast(probability.device.type, enabled=False):
        loss = F.binary_cross_entropy(probability[judged].float(), (kind[judged] == POSITIVE).float(), reduction="none")
    hardest = max(1, int(HARD_SHARE * len(loss)))
    return loss.topk(hardest).values.mean()


def masked_square_loss(predicted: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    """Return the mean over rows that count of the squared distance (section II.C, equations 2 and 3); 0 of none.

    Args:
        predicted: (N, D).
        wanted: (N, D); rows that don't count may hold anything.
        counts: (N,) bool.
    """
    distance = (predicted - wanted.where(counts[:, None], predicted.detach())).square().sum(dim=1)
    return (distance * counts).sum() / counts.sum().clamp(min=1)


def divergence(probability: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence of probabilities from those wanted, in nats; 0 where all are equal.

    Args:
        probability: (N,) of a face.
        wanted: (N,), likewise.
    """
    with torch.autocast(probability.device.type, enabled=False):
        own, other = probability.float(), wanted.float()
        return F.binary_cross_entropy(own, other) - F.binary_cross_entropy(other, other)
