"""Parts of a detector by histograms of oriented gradients: the descriptor so far; no detector uses it yet."""
