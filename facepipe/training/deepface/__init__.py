"""DeepFace's training."""
