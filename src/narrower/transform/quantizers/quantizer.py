"""How a family of formats rounds."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Quantizer(Protocol):
    """The rounding of one family; ``number_format`` is always of its kind."""

    def round(self, x: Tensor, number_format: Any, /) -> Tensor:
        """The value of the format for each element, in memory of its own; ``x`` stays as it is."""

    def round_to_steps(self, x: Tensor, number_format: Any, out: Tensor, /) -> None:
        """Write the same values into ``out``, in steps of the format's grid; only where it has one."""

    def passes_gradient(self, x: Tensor, number_format: Any, /) -> Tensor:
        """Where the gradient is 1: truth values; it is 0 elsewhere."""
