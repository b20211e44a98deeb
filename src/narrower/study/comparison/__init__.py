"""How samplers compare on one space: many seeds each, and what the differences are worth."""
