"""Parts of the detector by histograms of oriented gradients."""
