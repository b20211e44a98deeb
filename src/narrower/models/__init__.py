"""Where models and their weights come from, and what a model does with samples."""
