"""Artefacts that run elsewhere, and what is measured on them."""
