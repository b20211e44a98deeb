"""What is kept on disk: files that appear whole or not at all, runs and their trials, facts and log."""
