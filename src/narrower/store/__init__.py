"""Trials in an SQLite file: append, read, resume."""
