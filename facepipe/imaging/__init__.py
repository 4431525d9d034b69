"""Photos as arrays: decoding, boxes and the scales of an image pyramid."""
