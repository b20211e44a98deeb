"""Qualities of plans for all compared searches: each plan is scored once and then remembered."""

import time
from collections.abc import Sequence
from itertools import takewhile
from statistics import median

from narrower.plan.plan import Plan
from narrower.searching.loop import Evaluate
from narrower.searching.objective import first_broken
from narrower.searching.samplers.sampler import Losses
from narrower.study.comparison.contest import Contest
from narrower.tasks.quality import Quality

ENOUGH_SECONDS = 5.0  # of scoring plans one at a time


class QualityBook:
    """Passes on what was not asked before and remembers every answer."""

    def __init__(self, score: Evaluate) -> None:
        self._score = score
        self._known: dict[Plan, Quality] = {}

    def __len__(self) -> int:
        """Number of different plans that were scored."""
        return len(self._known)

    @property
    def failure(self) -> str | None:
        """Why the first plan failed, where all did."""
        failures = [quality.failure for quality in self._known.values()]
        return failures[0] if failures and None not in failures else None

    def score(self, plans: Sequence[Plan]) -> list[Quality]:
        """The qualities of plans in their order."""
        missing = [plan for plan in dict.fromkeys(plans) if plan not in self._known]
        if missing:
            self._known.update(zip(missing, self._score(missing), strict=True))
        return [self._known[plan] for plan in plans]

    def seconds_alone(self, plans: Sequence[Plan]) -> float:
        """Median time to score one of ``plans`` (not scored yet) alone; of slow ones some are enough."""
        began = time.perf_counter()
        times = []
        for plan in takewhile(lambda _: time.perf_counter() - began < ENOUGH_SECONDS, plans):
            started = time.perf_counter()
            self.score([plan])
            times.append(time.perf_counter() - started)
        return median(times)

    def metrics(self, contest: Contest, indices: Sequence[int]) -> list[dict[str, float] | None]:
        """All metrics of the plans with these numbers, which were scored; None where scoring failed."""
        options = [contest.space.options_at(index) for index in indices]
        costs = {name: values.tolist() for name, values in contest.costs.of(options).items()}
        rows: list[dict[str, float] | None] = []
        for position, chosen in enumerate(options):
            quality = self._known[contest.space.plan(chosen)]
            if quality.failure is not None:
                rows.append(None)
                continue
            row = {name: values[position] for name, values in costs.items()}
            rows.append(row | dict(quality.metrics))
        return rows


def admitted(contest: Contest, rows: Sequence[dict[str, float] | None]) -> list[dict[str, float] | None]:
    """The metrics of the plans that keep all constraints; None for the others."""
    return [
        row if row is not None and first_broken(contest.constraints, row) is None else None for row in rows
    ]


def losses(contest: Contest, rows: Sequence[dict[str, float] | None]) -> list[Losses | None]:
    """What a search minimises, from metrics."""
    return [None if row is None else contest.objectives.losses(row) for row in rows]
