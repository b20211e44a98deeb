"""Guided sampling: the model's numbers, and what it proposes."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import check_grad

from narrower.plan.plan import LayerPlan
from narrower.searching.front import front_indices, hypervolume
from narrower.searching.known import Known
from narrower.searching.objective import Constraint, Objective, Objectives
from narrower.searching.samplers.guided import Guided, expected_gain
from narrower.searching.samplers.surrogate import Surrogate
from narrower.searching.space import Choice, Options, Space, make_slot

Metrics = Callable[[Options], dict[str, float]]


class Prices:
    """Costs by a function of the options, in the place of those of a network."""

    def __init__(self, price: Metrics) -> None:
        self._price = price

    def of(self, assignments: Sequence[Options]) -> dict[str, NDArray[Any]]:
        rows = [self._price(options) for options in assignments]
        return (
            {name: np.array([row[name] for row in rows]) for name in rows[0]}
            if rows
            else {"bitops": np.empty(0)}
        )


def space(slots: int, options: int) -> Space:
    return Space(
        tuple(
            make_slot(
                f"l{n}",
                [Choice(f"l{n}.width", tuple(range(1, options + 1)))],
                {(i,): ((f"l{n}", LayerPlan(width=2.0 + i)),) for i in range(options)},
            )
            for n in range(slots)
        )
    )


def bitops(options: Options) -> dict[str, float]:
    return {"bitops": float(sum((n + 1) * o for n, o in enumerate(options)))}


def accuracy(options: Options) -> float:
    return 1 - sum(0.5 ** (o + 1) / (1 + n % 3) for n, o in enumerate(options)) / len(options)


BOTH = Objectives((Objective("accuracy", "maximize"), Objective("bitops", "minimize")))


def tried(sampler: Guided, objectives: Objectives, count: int) -> list[Options]:
    found: list[Options] = []
    while len(found) < count:
        asked = sampler.ask(min(4, count - len(found)))
        if not asked:
            break
        for options in asked:
            metrics = bitops(options) | {
                "accuracy": accuracy(options),
                "loss": 2 * (1 - accuracy(options)) ** 2,
            }
            sampler.tell(options, objectives.losses(metrics))
        found += asked
    return found


def test_the_expected_gain_is_the_mean_gain_in_hypervolume() -> None:
    chance = np.random.default_rng(0)
    losses, paid = chance.random(12), chance.random(12)
    mean, deviation, cost = np.array([0.1, 0.3, 0.9]), np.array([0.1, 0.3, 0.2]), np.array([0.2, 0.01, 0.5])
    gain = expected_gain(mean, deviation, cost, losses, paid)
    low, high = min(cost.min(), paid.min()), max(cost.max(), paid.max())
    reference = np.array([losses.max(), high + 0.02 * (high - low)])
    plans = np.stack([losses, paid], axis=1)
    before = hypervolume(plans, reference)
    for candidate in range(3):
        draws = mean[candidate] + deviation[candidate] * chance.standard_normal(4000)
        gains = [
            hypervolume(np.vstack([plans, [draw, cost[candidate]]]), reference) - before for draw in draws
        ]
        assert gain[candidate] == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / 4000**0.5 + 1e-5)


def test_the_likelihood_has_the_gradient_that_is_claimed() -> None:
    chance = np.random.default_rng(1)
    points = chance.random((15, 3))
    model = Surrogate(3)
    model.fit(points, np.sin(5 * points[:, 0]) + points[:, 1], search=False)
    squares = (points[:, None] - points[None]) ** 2
    theta = np.array([0.3, -0.5, 1.0, -6.0])
    error = check_grad(lambda t: model._loss(t, squares)[0], lambda t: model._loss(t, squares)[1], theta)
    assert error < 1e-4


def test_the_surrogate_meets_what_it_learnt_and_is_unsure_elsewhere() -> None:
    points = np.array(list(product([0.0, 0.5, 1.0], repeat=2)))
    values = points[:, 0] ** 2 - points[:, 1]
    model = Surrogate(2)
    model.fit(points, values, search=True)
    mean, deviation = model.predict(np.vstack([points, [[3.0, 3.0]]]))
    np.testing.assert_allclose(mean[:-1], values, atol=0.05)
    assert deviation[-1] > 3 * deviation[:-1].max()


def test_the_front_is_found_with_few_plans() -> None:
    where = space(4, 4)
    every = list(where.enumerate())
    losses = np.array([BOTH.losses(bitops(o) | {"accuracy": accuracy(o)}) for o in every])
    reference = losses.max(axis=0)
    found = tried(Guided(where, 0, Known(Prices(bitops), BOTH)), BOTH, 40)
    assert len(set(found)) == len(found)
    own = losses[[where.index_of(options) for options in found]]
    assert hypervolume(own, reference) > 0.98 * hypervolume(losses, reference)
    random = np.random.default_rng(0).permutation(len(every))[:40]
    assert hypervolume(own, reference) > hypervolume(losses[random], reference)


def test_every_plan_is_proposed_once_and_then_none() -> None:
    where = space(2, 3)
    found = tried(Guided(where, 0, Known(Prices(bitops), BOTH)), BOTH, 100)
    assert sorted(found) == sorted(where.enumerate())


def test_what_constraints_cut_is_never_proposed() -> None:
    known = Known(Prices(bitops), BOTH, [Constraint("bitops", None, 7.0)])
    found = tried(Guided(space(3, 4), 0, known), BOTH, 100)
    expected = [options for options in space(3, 4).enumerate() if bitops(options)["bitops"] <= 7]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    "objectives",
    [
        Objectives((*BOTH.each, Objective("loss", "minimize"))),
        Objectives(BOTH.each[:1]),
        Objectives(BOTH.each, sum_direction="maximize"),
    ],
)
def test_other_numbers_of_objectives(objectives: Objectives) -> None:
    where = space(3, 4)
    found = tried(Guided(where, 0, Known(Prices(bitops), objectives)), objectives, 24)
    assert len(set(found)) == len(found) == 24

    def losses(options: Options) -> tuple[float, ...]:
        metrics = bitops(options) | {"accuracy": accuracy(options), "loss": 2 * (1 - accuracy(options)) ** 2}
        return objectives.losses(metrics)

    every = np.array([losses(options) for options in where.enumerate()])
    best = every[front_indices(every)]
    own = np.array([losses(options) for options in found])
    if len(best) == 1:
        assert own.min() == best.min()
    else:
        assert hypervolume(own, every.max(axis=0)) > 0.95 * hypervolume(every, every.max(axis=0))


def test_spaces_that_cannot_be_enumerated() -> None:
    where = space(30, 4)
    sampler = Guided(where, 0, Known(Prices(bitops), BOTH))
    found = tried(sampler, BOTH, 40)
    assert len(set(found)) == len(found) == 40
    again = tried(Guided(where, 0, Known(Prices(bitops), BOTH)), BOTH, 40)
    assert again == found


@pytest.mark.parametrize(
    "objectives",
    [
        Objectives((BOTH.each[0], Objective("loss", "minimize"))),  # one plan is best in both
        Objectives(BOTH.each[1:]),  # nothing is measured
        Objectives((*BOTH.each, Objective("loss", "minimize"))),
    ],
)
def test_no_plan_is_proposed_twice_in_a_batch(objectives: Objectives) -> None:
    where = space(3, 4)
    found = tried(Guided(where, 0, Known(Prices(bitops), objectives)), objectives, 64)
    assert sorted(found) == sorted(where.enumerate())


@pytest.mark.parametrize("bounds", [(None, 2.0), (100.0, 101.0)])
def test_narrow_bounds_in_a_space_that_cannot_be_enumerated(bounds: tuple[float | None, float]) -> None:
    known = Known(Prices(bitops), BOTH, [Constraint("bitops", *bounds)])
    sampler = Guided(space(30, 4), 0, known)
    found = tried(sampler, BOTH, 12)
    if bounds[0] is None:  # nothing up, slot 0 up by one or two, or slot 1 up by one
        nothing = (0,) * 30
        assert sorted(found) == sorted([nothing, (1, *nothing[1:]), (2, *nothing[1:]), (0, 1, *nothing[2:])])
    else:
        assert len(set(found)) == len(found) == 12
        assert {bitops(options)["bitops"] for options in found} <= {100.0, 101.0}
    assert not sampler.covers_space  # it may have overlooked some


def test_a_large_space_where_every_plan_fails() -> None:
    sampler = Guided(space(30, 4), 0, Known(Prices(bitops), BOTH))
    found: list[Options] = []
    for _ in range(5):
        asked = sampler.ask(4)
        for options in asked:
            sampler.tell(options, None)
        found += asked
    assert len(set(found)) == len(found) >= 15
