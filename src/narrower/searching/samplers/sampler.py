"""What every sampler does."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from narrower.searching.space import Options

Losses = tuple[float, ...]


@runtime_checkable
class Sampler(Protocol):
    """Proposes assignments and learns from their losses. Same seed and same answers, same proposals."""

    never_repeats: bool
    """Whether no assignment is proposed twice; nothing needs to be told then."""

    covers_space: bool
    """Whether every plan was proposed once there is nothing left to propose."""

    default_batch: int
    """How many proposals are asked for at a time unless the settings say otherwise."""

    note: str | None
    """What a user must know of the plans that were proposed, such as that they are not all of a front."""

    def ask(self, count: int) -> Sequence[Options]:
        """Up to ``count`` assignments; none when there is nothing left to propose."""

    def tell(self, options: Options, losses: Losses | None) -> None:
        """Report what was asked for, in the order of the proposals; None for what failed or is not admitted.

        An assignment that was not asked for is learnt from as well.
        """
