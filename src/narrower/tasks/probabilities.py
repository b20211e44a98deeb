"""Refuse outputs that look like probabilities where logits are needed."""

from typing import TYPE_CHECKING

from narrower.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


class ProbabilitiesError(DataError):
    """Outputs look like probabilities."""


def refuse_probabilities(outputs: "Tensor") -> None:
    """Outputs from 0 to 1 alone are taken for probabilities, which have another threshold than logits.

    Raises:
        ProbabilitiesError: with the way out.
    """
    if bool(((outputs >= 0) & (outputs <= 1)).all()) and bool((outputs > 0).any()):
        raise ProbabilitiesError(
            "its outputs lie between 0 and 1, as behind a sigmoid; needed are the logits before it, where 0 "
            "is the threshold"
        )
