"""What a task is, and one folder for each: what its outputs mean, how good they are, how sure that is."""
