"""The time that ``narrower check`` tells is that of the plans that will come, not of any plans."""

from collections.abc import Sequence

import pytest

from narrower.evaluate.evaluator import Evaluator
from narrower.plan.plan import Plan
from narrower.settings.from_options import settings_from_options
from narrower.study import preview as module
from narrower.study.pose import pose
from narrower.study.preview import preview
from narrower.study.problem import Problem
from narrower.tasks.quality import Quality


def posed(sampler: str, trials: int | None) -> Problem:
    widths = {"data_in": ["4", "6", "8"], "weight": ["2", "4", "8"], "bias": ["8"]}
    return pose(
        settings_from_options(
            layers=".*",
            widths=widths,
            fractions="NA",
            objectives=["accuracy", "bitops"],
            bounds=[],
            setup={"sampler": sampler, **({} if trials is None else {"n_trials": trials})},
            samples=64,
            top={"model": "jsc-toy", "dataset": "jets"},
        )
    )


class Fake:
    """Scores a plan in a second for each layer from the first on that the plan before it had not."""

    def __init__(self) -> None:
        self.now, self._before, self.plans = 0.0, Plan(), 0

    def __call__(self, plans: Sequence[Plan], *, loss: bool) -> list[Quality]:
        assert not loss
        for plan in plans:
            self.plans += 1
            self.now += self.price(self._before, plan)
            self._before = plan
        return [Quality(0, 1, None) for _ in plans]

    @staticmethod
    def price(before: Plan, plan: Plan) -> float:
        own, others = list(plan.layers), list(before.layers)
        same = next((n for n, pair in enumerate(zip(own, others, strict=False)) if pair[0] != pair[1]), 0)
        return 0.01 * (1 if own == others else len(own) - same)


@pytest.mark.parametrize(
    ("sampler", "trials"), [("random", 200), ("tpe", 100), ("guided", 100), ("brute_force", None)]
)
def test_the_estimate_is_that_of_the_sampler_s_plans(
    monkeypatch: pytest.MonkeyPatch, sampler: str, trials: int | None
) -> None:
    problem, fake = posed(sampler, trials), Fake()
    monkeypatch.setattr(Evaluator, "evaluate", fake)
    monkeypatch.setattr(module.time, "perf_counter", lambda: fake.now)
    found = preview(problem)
    tried = fake.plans
    assert tried < 100
    assert found.seconds is not None
    truth = Fake()
    every = [problem.space.plan(options) for options in problem.space.enumerate()]
    plans = every if trials is None else [every[(997 * n) % len(every)] for n in range(trials)]
    truth(plans, loss=False)
    assert truth.now / 2 <= found.seconds <= 2 * truth.now
