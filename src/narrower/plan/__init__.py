"""What a plan says: formats of numbers for the operands of each layer, and the width of the layer."""
