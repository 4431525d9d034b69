"""Studies: what is shown by training, grouping or judging more than once; each is one command of `facepipe eval`."""
