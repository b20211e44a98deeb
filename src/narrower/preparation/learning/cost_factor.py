"""What the cost is multiplied by in the loss, from step to step."""

from collections.abc import Mapping
from math import exp, log

from narrower.preparation.learning.settings import LearnSettings

# Of the factor at which the gradients of loss and cost by the widths are equally large: the first factor, the
# last of a network that begins with random weights, and that of one that is trained, whose loss is low.
FIRST, LAST, LAST_OF_TRAINED = 1 / 3, 700.0, 3e4
# How far, in powers of e, a cost e times the target moves the factor: at once, and over a whole training.
LEAST_COST = 1e-3  # so that there is a logarithm
AT_ONCE, IN_ALL = 1.0, 14.0


class CostFactor:
    """Nothing for the ``warm_share`` of a training; then from a first to a last factor, log-linearly.

    Where the settings do not say the two, they follow from ``balance``, the factor at which the gradients of
    loss and cost are equally large after the first steps. With a target the factor begins at the first, and
    ``steer`` raises and lowers it.
    """

    def __init__(self, settings: LearnSettings, steps: int, last_share: float = LAST) -> None:
        self._last_share = last_share
        self._settings, self._steps = settings, steps
        self._first, self._last = settings.first_factor, settings.last_factor
        self._summed = 0.0  # powers of e that the factor has been moved by for good
        self._steered: float | None = None
        self.needs_balance = self._first is None or self._last is None

    def balance(self, factor: float) -> None:
        """Take in the factor at which the gradients of loss and cost are equally large."""
        self._first = FIRST * factor if self._first is None else self._first
        self._last = max(self._last_share * factor if self._last is None else self._last, self._first)
        self.needs_balance = False

    def of(self, step: int) -> float:
        """The factor of a step."""
        first, last = self._first, self._last
        if first is None or last is None or step < self._settings.warm_share * self._steps:
            return 0.0
        if self._settings.target is not None:
            return first if self._steered is None else self._steered
        warm = self._settings.warm_share
        grown = (step / self._steps - warm) / (1 - warm) if warm < 1 else 0.0
        return float(first * (last / first) ** max(grown, 0.0))

    def steer(self, cost: float, step: int, rate_share: float) -> None:
        """After each epoch: move the factor by how far the cost lies from the target.

        For good it moves with the learning rate (a share of the highest): what hardly learns does not answer.
        """
        target, first = self._settings.target, self._first
        if target is None or first is None or self.of(step) == 0:
            return
        distance = log(max(cost, LEAST_COST) / target)
        self._summed += IN_ALL / self._settings.epochs * distance * rate_share
        self._steered = first * exp(self._summed + AT_ONCE * distance)

    @property
    def state(self) -> dict[str, float | None]:
        """What ``restore`` takes."""
        return {"first": self._first, "last": self._last, "steered": self._steered, "summed": self._summed}

    def restore(self, state: Mapping[str, float | None]) -> None:
        """Go on from another one's ``state``."""
        self._first, self._last, self._steered = state["first"], state["last"], state["steered"]
        self._summed = state["summed"] or 0.0
        self.needs_balance = self._first is None or self._last is None
