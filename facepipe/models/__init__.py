"""Pretrained weights: what there is, where it lies, and loading it with its SHA-256 checked."""

from facepipe.models.cache import home, load_weights

__all__ = ["home", "load_weights"]
