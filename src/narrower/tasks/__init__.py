"""What outputs mean."""
