"""Plans in which layers lose bits in the order of what that loses: where a search should begin."""

from collections.abc import Callable, Sequence

import numpy as np

from narrower.searching.known import Known
from narrower.searching.samplers.order import uniforms
from narrower.searching.samplers.sampler import Losses
from narrower.searching.samplers.sensitivity import Sensitivity
from narrower.searching.space import Options, Space

FIRST_PLANS = 3  # between the ends
EVERY = 10**9

Score = Callable[[Sequence[Options]], Sequence[Losses | None]]


def sensitivity_plans(space: Space, known: Known, score: Score, count: int = FIRST_PLANS) -> list[Options]:
    """The largest uniform plan, some at even steps of cost that should lose least, and the smallest.

    ``score`` is asked for the loss of each option of each slot with the others at their largest; a plan is
    thought to lose the sum of what its options lose. Plans that constraints do not admit are left out.

    Raises:
        SettingsError: there is not one measured loss and one cost that is a sum of whole numbers.
    """
    singles = Sensitivity(space, 0, known)
    asked = singles.ask(EVERY)
    for options, losses in zip(asked, score(asked), strict=True):
        singles.tell(options, losses)
    ends = uniforms(space)
    front = list(singles.ask(EVERY)) or ends
    paid = known.losses(front)[:, int(np.flatnonzero(~known.is_measured)[0])]
    wanted = np.linspace(paid.max(), paid.min(), count + 2)[1:-1]
    chosen = [front[int(np.abs(paid - cost).argmin())] for cost in wanted]
    plans = list(dict.fromkeys([ends[0], *chosen, ends[-1]]))
    admitted = known.admitted(plans)
    return [plan for plan, is_admitted in zip(plans, admitted, strict=True) if is_admitted]
