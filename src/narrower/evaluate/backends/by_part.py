"""One backend for several engines of one program, each on samples of its own: workers hold them all."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from narrower.evaluate.backends.backend import Backend, Engine, Workers
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.quality import Quality


@dataclass(frozen=True, slots=True)
class PlanOnPart:
    """A plan that is to be scored on the samples of that number."""

    number: int
    plan: Plan

    @property
    def layers(self) -> tuple[tuple[str, LayerPlan], ...]:
        """Those of the plan: what is shared with others."""
        return self.plan.layers


@dataclass(frozen=True)
class Engines:
    """An engine for each part."""

    by_number: Mapping[int, Engine]

    @property
    def layers(self) -> Sequence[str]:
        """The same for all."""
        return next(iter(self.by_number.values())).layers

    def warm_up(self) -> None:
        """Make what the plans of each part share."""
        for engine in self.by_number.values():
            engine.warm_up()

    def score(self, plans: Sequence[PlanOnPart], loss: bool) -> list[Quality]:
        """The quality of each plan on its part."""
        places = defaultdict[int, list[int]](list)
        for place, own in enumerate(plans):
            places[own.number].append(place)
        found: dict[int, Quality] = {}
        for number, own_places in places.items():
            scored = self.by_number[number].score([plans[place].plan for place in own_places], loss)
            found.update(zip(own_places, scored, strict=True))
        return [found[place] for place in range(len(plans))]


class ByPart:
    """Shares the workers of one backend among parts; each evaluator is given the backend ``of`` its part."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._engines: dict[int, Engine] = {}
        self._is_started = False

    def of(self, number: int) -> Backend:
        """The backend of the samples of a number; every one is to be started before any scores."""
        return _Part(self, number)

    @property
    def lost(self) -> int:
        """Workers that ended before they were told to."""
        return self._workers.lost

    def add(self, number: int, engine: Engine) -> None:
        """Take the engine of a part."""
        self._engines[number] = engine

    def score(self, number: int, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        """The qualities of plans on a part."""
        if not self._is_started:
            self._workers.start(Engines(dict(self._engines)))
            self._is_started = True
        found: list[Quality] = self._workers.score([PlanOnPart(number, plan) for plan in plans], loss)
        return found

    def close(self) -> None:
        """End the workers."""
        if self._is_started:
            self._workers.close()
        self._is_started = False


class _Part:
    def __init__(self, shared: ByPart, number: int) -> None:
        self._shared, self._number = shared, number
        self.lost = 0

    def start(self, engine: Engine) -> None:
        self._shared.add(self._number, engine)

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        before = self._shared.lost
        found = self._shared.score(self._number, plans, loss)
        self.lost += self._shared.lost - before
        return found

    def close(self) -> None:
        self._shared.close()
