"""Runs on disk: their directory, trials, facts and log."""
