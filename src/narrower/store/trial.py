"""A plan that was tried, as it is stored."""

from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["complete", "failed", "dominated"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of a run.

    ``number`` counts the trials of the run from 0, ``plan_index`` is the plan's number in the space;
    ``metrics`` hold what was measured and computed, by name; ``seconds`` is its share of the time that the
    evaluation of its batch took, ``finished`` the seconds from the start of the search. ``reason`` says why a
    plan failed, or the bound for which a dominated one was dropped.
    """

    number: int
    plan_index: int
    state: State
    metrics: dict[str, float]
    reason: str | None
    seconds: float
    finished: float
