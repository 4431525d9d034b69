"""Aligned crops become embeddings: one module a network."""
