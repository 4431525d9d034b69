"""Training: labelled photos so far, which evaluations read as well."""
