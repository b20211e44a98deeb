"""How many samples go through the network at a time."""

from torch import Tensor

from narrower.graph.network import numel
from narrower.graph.program import Program

VALUE_BYTES = (
    2**22
)  # of the largest value of a batch: larger ones leave the caches, smaller ones pay for calls
SMALLEST, LARGEST = 16, 8192


def fitting_batch_size(program: Program, samples: int) -> int:
    """A power of two at which a batch's largest value takes at most 4 MiB.

    It follows from shapes alone, not from a stopwatch: where a product is not exact its last bit may depend
    on the batch size, and the same seed must give the same trials on a busy machine.
    """
    largest = largest_value(program)
    batch = SMALLEST
    while batch < LARGEST and batch < samples and 2 * batch * largest * 4 <= VALUE_BYTES:
        batch *= 2
    return batch


def largest_value(program: Program) -> int:
    """Elements of the largest value that a program computes, for one sample."""
    largest = 1
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if node.op == "call_function" and isinstance(value, Tensor) and value.dim() > 0:
            sizes = [size if isinstance(size, int) else 1 for size in value.shape]
            largest = max(largest, numel(tuple(sizes), 1))
    if program.untraced is not None:
        largest = max(numel(operator.output_shape) for operator in program.network.operators)
    return largest
