"""Regression: one number for each target, and the distance counts."""
