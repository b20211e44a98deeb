"""Which search method was better, with statistics."""
