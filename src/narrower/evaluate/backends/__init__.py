"""Where lists of plans are scored; one file for each place."""
