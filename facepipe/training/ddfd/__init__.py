"""DDFD is trained."""
