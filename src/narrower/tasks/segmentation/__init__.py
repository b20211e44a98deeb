"""Segmentation: each pixel of a picture has a class."""
