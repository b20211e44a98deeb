"""Proxies of the untrained networks that plans of other widths are."""

from collections.abc import Sequence

from torch import nn

from narrower.errors import SettingsError
from narrower.plan.plan import Plan
from narrower.searching.objective import PROXIES
from narrower.study.problem import Problem
from narrower.training.proxies import proxies
from narrower.training.untrained import untrained
from narrower.transform.resized import wanted_counts, with_counts

Widths = tuple[tuple[str, float], ...]


class UntrainedPlans:
    """Computes proxies of plans; those of the same widths are one network, with parameters of one seed."""

    def __init__(self, problem: Problem, names: Sequence[str]) -> None:
        self._problem, self._names = problem, names
        self._known: dict[Widths, dict[str, float]] = {}

    def of(self, plan: Plan) -> dict[str, float]:
        """The proxies of a plan.

        Raises:
            NarrowerError: one cannot be computed.
        """
        widths = tuple(plan.widths.items())
        if widths not in self._known:
            self._known[widths] = proxies(self._names, self._network(plan), self._problem.data.train)
        return self._known[widths]

    def _network(self, plan: Plan) -> nn.Module:
        problem = self._problem
        model, channels = problem.model, problem.channels
        if plan.widths and channels is not None:
            counts = wanted_counts(channels, plan.widths, {})
            model = with_counts(model, problem.subject.examples, channels, counts)
        return untrained(model, problem.options.seed)


def check_proxies(problem: Problem) -> None:
    """Check that proxies are looked at only where plans are other networks.

    Raises:
        SettingsError: beginning with the key.
    """
    named = {c.metric: "constraints" for c in problem.constraints}
    named |= {o.metric: "metrics" for o in problem.objectives.each}
    for name in PROXIES:
        if name in named and problem.channels is None:
            raise SettingsError(
                f"search.strategy.{named[name]}.{name}: it is computed from the untrained network, which is "
                "the same for all plans of number formats; allowed in searches over widths"
            )
