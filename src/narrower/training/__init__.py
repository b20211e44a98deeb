"""How weights are trained: one model, or many together, by one recipe."""
