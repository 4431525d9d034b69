"""The detector by oriented gradients is trained."""
