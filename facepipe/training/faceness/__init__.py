"""Faceness is trained."""
