"""A plan and a model to a new model; the old one is untouched."""
