"""The training of MTCNN's three networks, from scratch and from given weights."""
