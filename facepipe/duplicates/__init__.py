"""Which files are copies of one another."""
