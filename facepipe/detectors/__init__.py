"""Detectors: where the faces on photos are."""
