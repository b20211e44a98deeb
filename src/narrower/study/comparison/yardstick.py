"""What searches are measured against: a reference point, and the best front that is known."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrower.errors import SettingsError
from narrower.searching.front import front_indices, hypervolume
from narrower.searching.objective import Objectives

Rows = NDArray[np.float64]
SUM = "sum of scaled metrics"


@dataclass(frozen=True)
class Yardstick:
    """In losses: smaller is better.

    ``front`` [F, M] are the different points of the best front, as far as they are not beyond ``reference``
    [M]; ``best`` [M] are the smallest losses of all, one by one; ``volume`` is the front's hypervolume.
    """

    reference: Rows
    front: Rows
    best: Rows
    volume: float

    @property
    def spans(self) -> Rows:
        """From the best value to the reference, objective by objective: the unit of distances."""
        spans: Rows = self.reference - self.front.min(axis=0)
        return spans

    def share(self, found: Rows) -> float:
        """The hypervolume of a front [N, M], relative to the best front's."""
        return hypervolume(found, self.reference) / self.volume

    def found(self, found: Rows) -> float:
        """The share of the best front's points that are among [N, M]."""
        known = {tuple(row) for row in found.tolist()}
        return sum(tuple(row) in known for row in self.front.tolist()) / len(self.front)

    def distance(self, found: Rows) -> float:
        """IGD+ (Ishibuchi et al., 2015) of [N, M], each objective in units of ``spans``.

        The mean over the best front of the distance to the nearest found point, in which only what is worse
        than the best front counts.
        """
        worse = np.maximum(found[None] - self.front[:, None], 0) / self.spans
        return float(np.sqrt((worse**2).sum(axis=2)).min(axis=1).mean())


def yardstick(losses: Rows, objectives: Objectives, reference: Mapping[str, float]) -> Yardstick:
    """Build it from the losses [N, M] of all known plans and a value of each objective's metric.

    Raises:
        SettingsError: no plan is better than the reference point, so that there is nothing to measure.
    """
    point = np.array(objectives.losses(reference))
    if len(losses) == 0:
        raise SettingsError("there is nothing to compare: the constraints admit no plan that was tried")
    front = losses[front_indices(losses)]
    volume = hypervolume(front, point)
    if volume <= 0:
        values = ", ".join(f"{name} {value:g}" for name, value in reference.items())
        raise SettingsError(
            f"there is nothing to compare: no plan is better than the reference point ({values}: chance, and "
            "the dearest admitted plan); is the model trained, and does every objective vary?"
        )
    return Yardstick(point, front[(front <= point).all(axis=1)], losses.min(axis=0), volume)


def objective_names(objectives: Objectives) -> tuple[str, ...]:
    """A name for each loss."""
    return tuple(o.metric for o in objectives.each) if objectives.sum_direction is None else (SUM,)


def objective_signs(objectives: Objectives) -> tuple[int, ...]:
    """What each loss is multiplied with to be the objective's value."""
    if objectives.sum_direction is None:
        return tuple(o.sign for o in objectives.each)
    return (-1 if objectives.sum_direction == "maximize" else 1,)
