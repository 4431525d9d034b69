"""VGG-Face is trained: first to classify people, then by triplets."""
