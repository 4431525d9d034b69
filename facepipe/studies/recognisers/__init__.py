"""Recognisers side by side, on people whom they have never seen."""
