"""What proposes plans: one file for each way."""
