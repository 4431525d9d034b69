"""VGG-Face's published weights become this project's: MatConvNet's file, or the same tensors as safetensors.

Source: Parkhi, Vedaldi and Zisserman, "Deep Face Recognition" (BMVC 2015), and the layout of the file `vgg_face.mat`
that its authors published: layers `conv1_1` to `fc8`, fully connected ones as convolutions over all that is left.
"""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facepipe.errors import WeightsError

MATLAB = b"MATLAB 5.0 MAT-file"
_FULLY_CONNECTED = ("fc6.weight", "fc7.weight", "fc8.weight")


def looks_like_matlab(data: bytes) -> bool:
    """Return whether a file is one of MATLAB's, up to version 7."""
    return data.startswith(MATLAB)


def vgg_from_matconvnet(data: bytes, source: str) -> dict[str, Tensor]:
    """Return VGG's state dict of a MatConvNet file.

    Its kernels are (H, W, in, out), its images RGB with the mean colour subtracted, as here.

    Args:
        data: the file's bytes.
        source: its name, for messages.

    Raises:
        WeightsError: it can't be read, or holds no layers with weights.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(io.BytesIO(data), squeeze_me=True, struct_as_record=False)
        layers = content["layers"] if "layers" in content else content["net"].layers
        state: dict[str, Tensor] = {}
        for layer in np.atleast_1d(layers):
            kernel, bias = _weights_of(layer)
            if kernel is not None:
                state[f"{layer.name}.weight"] = torch.from_numpy(
                    np.ascontiguousarray(_four(kernel).transpose(3, 2, 0, 1), np.float32)
                )
                state[f"{layer.name}.bias"] = torch.from_numpy(np.ascontiguousarray(bias, np.float32).reshape(-1))
    except Exception as error:  # a damaged file fails in scipy's reader in many ways
        raise WeightsError(f"{source} is no readable MatConvNet file: {error}") from error
    if not state:
        raise WeightsError(f"{source} holds no layers with weights: VGG-Face's file has conv1_1 to fc8")
    return flatten_fully_connected(state)


def flatten_fully_connected(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict whose fully connected layers, where they are convolutions (out, in, H, W), are matrices."""
    return {
        name: value.flatten(1).contiguous() if name in _FULLY_CONNECTED and value.ndim == 4 else value
        for name, value in state.items()
    }


def _weights_of(layer: Any) -> tuple[Any, Any]:
    """Return a layer's kernel and bias, in either of MatConvNet's layouts; None of a layer without."""
    if hasattr(layer, "weights") and np.size(layer.weights):
        kernel, bias = layer.weights
        return kernel, bias
    if hasattr(layer, "filters"):
        return layer.filters, layer.biases
    return None, None


def _four(kernel: Any) -> np.ndarray:
    """Return a kernel as (H, W, in, out): MATLAB drops dimensions of one at the end, and squeezing drops any."""
    array = np.asarray(kernel)
    return array if array.ndim == 4 else array.reshape(1, 1, *array.shape[-2:])
