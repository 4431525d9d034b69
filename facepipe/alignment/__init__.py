"""From a face's box to the picture that a network or a reader sees."""
