"""What a model takes, in words that a file can hold: shape and type of each argument."""

import json
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

ARGUMENTS = "narrower.arguments"  # metadata
TYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (torch.float32, torch.float64, torch.int64, torch.int32, torch.int16, torch.uint8, torch.bool)
}
LARGEST_SAMPLE = 2**24  # values; a file must not make this program take any amount of memory
SAMPLES = 3


def arguments_note(arguments: Sequence[Tensor]) -> dict[str, str]:
    """Metadata that say shape and type of one sample of each argument."""
    described = [
        {"shape": list(argument.shape[1:]), "type": str(argument.dtype).removeprefix("torch.")}
        for argument in arguments
    ]
    return {ARGUMENTS: json.dumps(described)}


def example_like(arguments: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Zeros of the same shape and type, enough samples of them to trace a model."""
    return tuple(torch.zeros(SAMPLES, *argument.shape[1:], dtype=argument.dtype) for argument in arguments)


def example_of_note(text: str | None) -> tuple[Tensor, ...] | None:
    """Arguments of zeros as the note says; None where it says nothing, or nothing that can be meant."""
    try:
        described = [(tuple(each["shape"]), TYPES[each["type"]]) for each in json.loads(text or "[]")]
    except (ValueError, TypeError, KeyError):
        return None
    for shape, _ in described:
        are_sizes = all(isinstance(size, int) and size > 0 for size in shape)
        if not are_sizes or prod(shape) > LARGEST_SAMPLE:
            return None
    return tuple(torch.zeros(SAMPLES, *shape, dtype=kind) for shape, kind in described) or None
