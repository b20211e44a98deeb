"""Classification: one score for each class, and the highest counts."""
