"""Add up what each choice loses on its own, and evaluate the front of the sums only."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from narrower.errors import SettingsError
from narrower.searching.additive_front import MOST_STATES, additive_front, sweep
from narrower.searching.known import Known
from narrower.searching.samplers.order import uniforms
from narrower.searching.samplers.sampler import Losses
from narrower.searching.samplers.singles import MOST_SINGLES, SlotLosses, singles
from narrower.searching.space import Options, Space


class Sensitivity:
    """Measures each option of each slot with all others at their largest; then proposes the proxy's front.

    The proxy of a plan's loss is the sum of what its options lose one at a time; of a slot with more than
    4,096 options, what the formats of its operands lose one at a time. Needs one measured loss and
    one whole-numbered cost that is a sum over slots. Where constraints on costs do not admit the largest
    plan, the others are at those of the largest uniform plan that is admitted.
    """

    never_repeats = False  # it never does, but it wants to be told
    covers_space = False
    default_batch = 64

    def __init__(self, space: Space, seed: int, known: Known) -> None:  # noqa: ARG002 - nothing is drawn
        if len(known.is_measured) != 2 or known.is_measured.sum() != 1:  # noqa: PLR2004
            raise SettingsError(
                "the sampler 'sensitivity' needs two objectives side by side, one that is measured "
                "on data and one cost; 'guided' takes any number"
            )
        self._space, self._known = space, known
        self._measured = int(np.flatnonzero(known.is_measured)[0])
        self._costs = known.whole_costs(1 - self._measured)
        levels = uniforms(space)
        admitted = known.admitted(levels)
        self._top = levels[int(admitted.argmax())]  # the first; the largest where none is admitted
        self._slots = [singles(slot, option) for slot, option in zip(space.slots, self._top, strict=True)]
        changed = [
            self._with(number, option) for number, slot in enumerate(self._slots) for option in slot.measured
        ]
        self._singles = list(dict.fromkeys([self._top, *changed]))
        self._waiting = list(self._singles)
        self._found: dict[Options, Losses | None] = {}
        self._has_front = False
        self.note: str | None = None

    def ask(self, count: int) -> Sequence[Options]:
        """What is left of the single changes, then of the proxy's front, by rising cost."""
        if not self._waiting and not self._has_front and len(self._found) >= len(self._singles):
            self._waiting, self._has_front = self._front(), True
        asked, self._waiting = self._waiting[:count], self._waiting[count:]
        return asked

    def tell(self, options: Options, losses: Losses | None) -> None:
        """Remember what an option loses; what failed or is not admitted is taken to lose most."""
        self._found[options] = losses

    def _with(self, slot: int, option: int) -> Options:
        return (*self._top[:slot], option, *self._top[slot + 1 :])

    def _front(self) -> list[Options]:
        known = [losses[self._measured] for losses in self._found.values() if losses is not None]
        worst = max(known, default=0.0)

        def loss(options: Options) -> float:
            losses = self._found.get(options)
            return worst if losses is None else losses[self._measured]

        base = loss(self._top)
        slots = [self._slot(number, loss) for number in range(len(self._slots))]
        front = additive_front([own.losses - base for own, _ in slots], [costs for _, costs in slots])
        self.note = f"the front of the sums of single losses has {len(front.plans):,} plans" + (
            "" if front.is_exact else f" on a grid of {MOST_STATES:,} costs, between which others may lie"
        )
        columns = [own.options[front.plans[:, n]].tolist() for n, (own, _) in enumerate(slots)]
        plans = list(zip(*columns, strict=True))
        return [plan for plan in plans if plan not in self._found]

    def _slot(self, number: int, loss: Callable[[Options], float]) -> tuple[SlotLosses, NDArray[np.int64]]:
        """What the options of a slot lose and cost; of very many only those that no other beats in both."""
        found = self._slots[number].losses(lambda option: loss(self._with(number, option)))
        costs = self._costs[number][self._space.slots[number].group_of(found.options)]
        if len(costs) <= MOST_SINGLES:
            return found, costs
        kept = sweep(found.losses, costs)
        return SlotLosses(found.options[kept], found.losses[kept]), costs[kept]
