"""A plan as C99 without dependencies, in whole numbers."""
