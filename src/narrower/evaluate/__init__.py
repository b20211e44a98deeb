"""The quality of many plans at once."""
