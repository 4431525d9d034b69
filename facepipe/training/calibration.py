"""Logits of detections become shares of faces among them, by logistic regression on labelled detections.

Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999, section 2, with its smoothed labels.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def calibrate(logit: Floats, is_face: NDArray[np.bool_], weight: Floats, steps: int = 50) -> tuple[float, float]:
    """Return the slope, more than 0, and the intercept by which sigmoid(slope * logit + intercept) is likeliest.

    By Newton's method from (1, 0), with a weak pull towards it, so that few detections, or such of one kind only,
    still give a finite answer.

    Args:
        logit: (N,).
        is_face: (N,).
        weight: (N,) of each detection, 0 or more.
        steps: of Newton's method, at most.
    """
    faces, others = float(weight[is_face].sum()), float(weight[~is_face].sum())
    label = np.where(is_face, (faces + 1) / (faces + 2), 1 / (others + 2))
    inputs = np.stack([logit, np.ones_like(logit)], axis=1)  # (N, 2)
    start = np.array([1.0, 0.0])
    found = start.copy()
    for _ in range(steps):
        share = 1 / (1 + np.exp(-np.clip(inputs @ found, -50, 50)))
        gradient = inputs.T @ (weight * (share - label)) + (found - start)
        hessian = (inputs * (weight * share * (1 - share))[:, None]).T @ inputs + np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        found = found - step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return max(float(found[0]), 0.05), float(found[1])
