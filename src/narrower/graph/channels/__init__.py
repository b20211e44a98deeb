"""Which dimensions of which tensors hold the same channels: one file for each kind of operator."""
