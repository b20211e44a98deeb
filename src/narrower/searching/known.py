"""What is known of a plan before it is scored: its costs, and whether constraints on costs admit it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from narrower.cost.network_cost import FALLS_WITH_TOTAL
from narrower.errors import SettingsError
from narrower.searching.costs import SpaceCosts, broken
from narrower.searching.objective import Constraint, Objectives, is_cost
from narrower.searching.space import Options


class Known:
    """The part of the losses that costs decide.

    ``is_measured`` [M] tells the losses that a measured quality enters from those that are known exactly.
    """

    def __init__(
        self, costs: SpaceCosts, objectives: Objectives, constraints: Sequence[Constraint] = ()
    ) -> None:
        self._costs, self._objectives, self._constraints = costs, objectives, tuple(constraints)
        self._qualities = [o.metric for o in objectives.each if not is_cost(o.metric)]
        each = [o.metric in self._qualities for o in objectives.each]
        self.is_measured = np.array(each if objectives.sum_direction is None else [any(each)])

    def losses(self, assignments: Sequence[Options]) -> NDArray[np.float64]:
        """The losses [N, M] that [N] assignments would have if every measured quality were 0."""
        columns = self._objectives.losses_of_columns(
            {**self._costs.of(assignments), **dict.fromkeys(self._qualities, np.zeros(len(assignments)))}
        )
        return np.stack(columns, axis=1).astype(np.float64)

    def whole_costs(self, column: int) -> list[NDArray[np.int64]]:
        """What each group of options that cost the same adds to a known loss, in whole steps of it, by slot.

        Raises:
            SettingsError: the loss is no such sum.
        """
        objective = self._objectives.each[column]
        tables = self._costs.tables(objective.metric)
        if tables is None:
            raise SettingsError(f"{objective.metric} is not a sum over layers of whole numbers in this space")
        sign = objective.sign * (-1 if objective.metric in FALLS_WITH_TOTAL else 1)
        return [sign * table for table in tables]

    def admitted(self, assignments: Sequence[Options]) -> NDArray[np.bool_]:
        """Whether constraints on costs admit each assignment."""
        reasons = broken(self._constraints, self._costs.of(assignments), len(assignments))
        return np.array([reason is None for reason in reasons], dtype=np.bool_)
