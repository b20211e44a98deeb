"""How a tensor is rounded into a number format."""
