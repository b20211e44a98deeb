"""The sensitivity sampler: one choice at a time, then the front of the sums."""

from collections.abc import Sequence

import numpy as np
import pytest

from narrower.cost.network_cost import NetworkCost
from narrower.errors import SettingsError
from narrower.graph.program import Program
from narrower.searching import additive_front
from narrower.searching.build_space import build_space
from narrower.searching.costs import FormatCosts
from narrower.searching.front import front_indices
from narrower.searching.known import Known
from narrower.searching.objective import Constraint, Objective, Objectives
from narrower.searching.samplers.sensitivity import Sensitivity
from narrower.searching.samplers.sensitivity_first import sensitivity_plans
from narrower.searching.space import Options, Space
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings
from narrower.settings.from_options import settings_from_options


def posed(program: Program, metric: str, direction: str) -> tuple[Space, FormatCosts, Objectives]:
    widths = OperandChoices((2, 4, 8), ("NA",))
    choices = LayerChoices(
        ("fixed",), data=OperandChoices((8,), ("NA",)), weight=widths, bias=OperandChoices((8,), ("NA",))
    )
    settings = SpaceSettings("regex", ((".*", choices),), None)
    space = build_space(program.network, settings, lambda _layer, _operand, width: width // 2)
    objectives = Objectives((Objective("accuracy", "maximize"), Objective(metric, direction)))  # type: ignore[arg-type]
    return space, FormatCosts(space, NetworkCost(program.network)), objectives


@pytest.mark.parametrize(
    ("metric", "direction"),
    [("bitops", "minimize"), ("memory_density", "maximize"), ("model_size", "minimize")],
)
def test_the_front_of_an_additive_loss_is_proposed_completely(
    jsc_toy_program: Program, metric: str, direction: str
) -> None:
    space, costs, objectives = posed(jsc_toy_program, metric, direction)
    weights = np.random.default_rng(0).random((len(space.slots), 3))

    def accuracy(options: Options) -> float:
        return 1 - float(sum(weights[slot, : option + 1].sum() * 0.1 for slot, option in enumerate(options)))

    sampler = Sensitivity(space, 0, Known(costs, objectives))
    found: list[Options] = []
    while asked := sampler.ask(5):
        found += asked
        for options in asked:
            row = {name: float(column[0]) for name, column in costs.of([options]).items()}
            sampler.tell(options, objectives.losses(row | {"accuracy": accuracy(options)}))
    assert len(set(found)) == len(found)
    every = list(space.enumerate())
    columns = costs.of(every)
    losses = np.array(
        [
            objectives.losses({metric: float(columns[metric][i]), "accuracy": accuracy(options)})
            for i, options in enumerate(every)
        ]
    )
    front = {tuple(np.round(losses[i], 9)) for i in front_indices(losses)}
    own = {tuple(np.round(losses[space.index_of(options)], 9)) for options in found}
    assert front <= own
    assert len(found) < space.size
    assert sampler.note == f"the front of the sums of single losses has {len(front)} plans"


def test_a_front_that_was_thinned_out_is_said(
    jsc_toy_program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(additive_front, "MOST_STATES", 2)
    space, costs, objectives = posed(jsc_toy_program, "bitops", "minimize")
    sampler = Sensitivity(space, 0, Known(costs, objectives))
    while asked := sampler.ask(5):
        for options in asked:
            sampler.tell(options, (-float(sum(options)), 0.0))
    assert sampler.note is not None
    assert "between which others may lie" in sampler.note


def test_below_a_bound_on_cost_single_changes_start_from_equal_widths_that_it_admits(
    jsc_toy_program: Program,
) -> None:
    space, costs, objectives = posed(jsc_toy_program, "bitops", "minimize")
    of_all = costs.of(list(space.enumerate()))["bitops"]
    uniform = [int(of_all[space.index_of((option,) * len(space.slots))]) for option in range(3)]
    bound = Constraint("bitops", None, sorted(uniform)[1] + 1.0)  # the widest is cut, the middle is not
    sampler = Sensitivity(space, 0, Known(costs, objectives, [bound]))
    first, *_ = sampler.ask(1)
    assert int(costs.of([first])["bitops"][0]) == sorted(uniform)[1]


def test_it_needs_a_quality_and_a_cost(jsc_toy_program: Program) -> None:
    space, costs, _ = posed(jsc_toy_program, "bitops", "minimize")
    one = Objectives((Objective("accuracy", "maximize"),))
    with pytest.raises(SettingsError, match="two objectives side by side"):
        Sensitivity(space, 0, Known(costs, one))


def test_it_need_not_be_told_when_to_end() -> None:
    settings = settings_from_options(
        layers=".*",
        widths={"data_in": ["8"], "weight": ["4", "8"], "bias": ["8"]},
        fractions="NA",
        objectives=["accuracy", "bitops"],
        bounds=[],
        setup={"sampler": "sensitivity"},
        samples=None,
        top={"model": "jsc-toy", "dataset": "jets"},
    )
    assert settings.search is not None


def test_plans_to_begin_with_are_on_the_front_of_an_additive_loss(jsc_toy_program: Program) -> None:
    space, costs, objectives = posed(jsc_toy_program, "bitops", "minimize")
    weights = np.random.default_rng(0).random((len(space.slots), 3))
    asked: list[Options] = []

    def losses(options: Options) -> tuple[float, ...]:
        lost = float(sum(weights[slot, option:].sum() * 0.1 for slot, option in enumerate(options)))
        return objectives.losses({"accuracy": 1 - lost, "bitops": float(costs.of([options])["bitops"][0])})

    def score(plans: Sequence[Options]) -> list[tuple[float, ...]]:
        asked.extend(plans)
        return [losses(options) for options in plans]

    first = sensitivity_plans(space, Known(costs, objectives), score)
    every = list(space.enumerate())
    assert len(asked) < 10 < len(every)  # two other widths of each of three layers, and the widest plan
    table = np.array([losses(options) for options in every])
    front = {every[row] for row in front_indices(table)}
    paid = [losses(options)[1] for options in first]
    assert paid == sorted(paid, reverse=True)
    assert (paid[0], paid[-1]) == (table[:, 1].max(), table[:, 1].min())
    assert len(first) == 5
    assert set(first[1:-1]) <= front


def test_plans_to_begin_with_keep_to_constraints(jsc_toy_program: Program) -> None:
    space, costs, objectives = posed(jsc_toy_program, "bitops", "minimize")
    bounds = (Constraint("bitops", None, 9000.0),)
    known = Known(costs, objectives, bounds)
    first = sensitivity_plans(
        space, known, lambda plans: [objectives.losses({"accuracy": 0.5, "bitops": 1.0})] * len(plans)
    )
    assert all(costs.of([options])["bitops"][0] <= 9000 for options in first)
