"""What a model is called with: one tensor, or several."""

from collections.abc import Sequence

from torch import Tensor

Arguments = Tensor | Sequence[Tensor]


def each_argument(given: Arguments) -> tuple[Tensor, ...]:
    """All of them, where it is one as well."""
    return (given,) if isinstance(given, Tensor) else tuple(given)


def copies(arguments: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Arguments for a model that may write into them."""
    return tuple(argument.clone() for argument in arguments)
