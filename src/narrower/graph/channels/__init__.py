"""Which dimensions of which tensors are the same channels."""
