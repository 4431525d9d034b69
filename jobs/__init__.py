"""What a cluster runs: one file a job, each a configuration, a pipeline and a run."""
