"""What carries a pipeline out: Ray Data on a machine or a cluster, or a plain loop in this process."""
