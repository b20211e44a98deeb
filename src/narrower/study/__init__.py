"""The whole program: from settings, or from Python values, to a front."""
