"""The protocols of the field: arrays in, figures out."""
