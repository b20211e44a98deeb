"""Reconstruction: a model gives its inputs back, and how well it does may tell the usual from the odd."""
