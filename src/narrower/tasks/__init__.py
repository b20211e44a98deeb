"""Models, data sets, training and checkpoints."""
