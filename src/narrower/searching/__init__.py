"""Spaces, samplers and the loop that proposes and scores plans."""
