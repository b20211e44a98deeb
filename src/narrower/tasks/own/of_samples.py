"""What functions of the user's give of each sample, and how it is checked."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from narrower.errors import DataError
from narrower.own_code.failures import defined_at

if TYPE_CHECKING:
    from torch import Tensor

Function = Callable[["Tensor", "Tensor"], Any]


def loss_of_each(where: str, function: Function, outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """The loss of each sample, [N], in the precision that the function gives."""
    found = _of_each(where, function, outputs, targets)
    if outputs.requires_grad and not found.requires_grad:
        raise DataError(f"{where} does not depend on the outputs{defined_at(function)}: nothing is learned")
    return found


def number_of_each(where: str, function: Function, outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """A number of each sample, [N], in double precision.

    Raises:
        DataError: the function gives something else.
    """
    return _of_each(where, function, outputs, targets).double()


def truth_of_each(where: str, function: Function, outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Whether something holds of each sample, [N].

    Raises:
        DataError: the function gives something else.
    """
    found = _of_each(where, function, outputs, targets)
    if found.is_floating_point() and not bool(((found == 0) | (found == 1)).all()):
        raise DataError(
            f"{where} gives other numbers than 0 and 1{defined_at(function)}; say 'mean' where it is no share"
        )
    return found.bool()


def _of_each(where: str, function: Function, outputs: "Tensor", targets: "Tensor") -> "Tensor":
    found: Any = function(outputs, targets)
    shape = tuple(found.shape) if type(outputs).__name__ == type(found).__name__ else None
    if shape == (len(outputs),):
        return found  # type: ignore[no-any-return]
    what = type(found).__name__ if shape is None else "one number" if shape == () else f"shape {shape}"
    raise DataError(
        f"{where} gives {what} for {len(outputs)} samples{defined_at(function)}; expected a tensor [N], a "
        "number of each sample (reduction='none', and the mean over what a sample has several of)"
    )
