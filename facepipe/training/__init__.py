"""Training: labelled photos become samples, samples a network or a classifier; a recipe a detector."""
