"""Uniform plans before a sampler begins."""

import pytest
import torch

from narrower.cost.network_cost import NetworkCost
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.searching.build_space import build_space
from narrower.searching.costs import FormatCosts
from narrower.searching.known import Known
from narrower.searching.objective import Objective, Objectives
from narrower.searching.samplers.build import build_sampler
from narrower.searching.samplers.catalogue import SAMPLERS
from narrower.searching.samplers.uniform_first import UniformFirst, uniform_plans
from narrower.searching.space import Space
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings

NETWORK = trace(build_model("jsc-toy"), torch.randn(3, 16), "jsc-toy").network


def space_of(names: tuple[str, ...]) -> Space:
    operands = (OperandChoices((8, 4)), OperandChoices((2, 8, 4)), OperandChoices((8,)))
    settings = SpaceSettings("type", (("linear", LayerChoices(names, *operands)),))
    return build_space(NETWORK, settings, lambda _layer, _operand, width: width // 2)


def test_all_layers_have_each_kind_of_format_at_each_width_from_the_largest_on() -> None:
    space = space_of(("fixed", "mxfp4", "NA"))
    plans = [space.plan(options) for options in uniform_plans(space)]
    found = []
    for plan in plans:
        chosen = {(layer.data.text, layer.weight.text) for _, layer in plan.layers} or {
            ("float32", "float32")
        }
        assert len(plan.layers) in (0, 3)
        (one,) = chosen
        found.append(one)
    eight, four, two = "fixed(8,frac=4)", "fixed(4,frac=2)", "fixed(2,frac=1)"
    # data have two widths, weights three: in between, data take the narrower
    first = [(eight, eight), (four, four), (four, two), ("mxfp4", "mxfp4"), ("float32", "float32")]
    assert found[: len(first)] == first
    assert set(found) == {*first, (eight, four), (eight, two), (four, eight)}
    assert len(found) == len(set(found))


def test_of_very_many_only_those_whose_widths_go_up_together_are_tried() -> None:
    widths = OperandChoices(tuple(range(2, 10)))
    space = build_space(
        NETWORK,
        SpaceSettings("type", (("linear", LayerChoices(("fixed",), widths, widths, widths)),)),
        lambda _layer, _operand, width: width // 2,
    )
    plans = [space.plan(options).layers[0][1] for options in uniform_plans(space)]
    assert [(p.data.bits, p.weight.bits, p.bias.bits) for p in plans] == [(n, n, n) for n in range(9, 1, -1)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "gp")) for name in SAMPLERS]
)
def test_every_sampler_goes_on_after_them_and_is_told_of_them(name: str) -> None:
    space = space_of(("fixed",))
    objectives = Objectives((Objective("accuracy", "maximize"), Objective("bitops", "minimize")))
    known = Known(FormatCosts(space, NetworkCost(NETWORK)), objectives, ())
    sampler = UniformFirst(build_sampler(name, space, seed=1, wanted=60, known=known), space)
    first = uniform_plans(space)
    seen: list[tuple[int, ...]] = []
    while len(seen) < 60:
        asked = sampler.ask(min(8, 60 - len(seen)))
        if not asked:
            break
        seen += asked
        for options in asked:
            sampler.tell(options, (float(sum(options)), float(-sum(options))))
    assert seen[: len(first)] == first
    assert len(seen) > len(first)
    if sampler.never_repeats:
        assert len(set(seen)) == len(seen)
