"""How many elements the matrices, biases and gates of a recurrent layer have, in all its cells."""

from collections.abc import Sequence
from math import prod

from narrower.graph.network import MATRIX, Attribute


def sizes_inside(
    shapes: Sequence[tuple[int, ...]], layers: Attribute, is_bidirectional: Attribute
) -> dict[str, Attribute]:
    """From the shapes of its parameters, in their order."""
    assert isinstance(layers, int)
    cells = layers * (2 if is_bidirectional else 1)
    first_of_each = shapes[:: len(shapes) // cells]
    return {
        "matrix_elements": sum(prod(shape) for shape in shapes if len(shape) == MATRIX),
        "bias_elements": sum(prod(shape) for shape in shapes if len(shape) != MATRIX),
        "gate_elements": sum(rows for rows, _ in first_of_each),
    }
