"""FaceNet is trained by triplets, from given weights or from scratch."""
