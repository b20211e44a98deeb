"""Spaces of plans that round edges: which choices an edge has, and what its plans cost."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from narrower.cost.network_cost import NetworkCost
from narrower.errors import SettingsError
from narrower.graph.network import Network
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.searching.build_space import build_space
from narrower.searching.edge_costs import EdgeCosts
from narrower.searching.space import Space
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings
from tests.edge_zoo import Joined, Mobile, Residual


def choices(*widths: int, weights: tuple[int, ...] = (8,)) -> LayerChoices:
    return LayerChoices(
        ("fixed",), OperandChoices(widths), OperandChoices(weights), OperandChoices((8,))
    )  # data, weight, bias


def network(model: nn.Module) -> Network:
    return trace(model.eval(), torch.randn(2, 3, 8, 8)).network


def space(model: nn.Module, **settings: Any) -> Space:
    own = {"by": "name", "layers": (), "default": choices(4, 8), "sign": "auto", "on_edges": True, **settings}
    return build_space(network(model), SpaceSettings(**own), lambda _layer, _operand, width: width // 2)


def edge_slots(found: Space) -> dict[str, tuple[str, ...]]:
    return {slot.name: slot.layers for slot in found.slots if slot.name.endswith(".output")}


def test_edges_that_are_added_share_a_slot_and_the_outputs_stay_as_they_are() -> None:
    assert edge_slots(space(Residual())) == {
        "input.output": ("input",),
        "first.output": ("first", "third"),
        "second.output": ("second",),
        "add.output": ("add",),
        "pool.output": ("pool",),
    }


def test_without_agreement_each_edge_is_chosen_alone() -> None:
    found = edge_slots(space(Residual(), agree=False))
    assert found["first.output"] == ("first",)
    assert found["third.output"] == ("third",)


def test_edges_that_agree_have_a_sign_where_one_of_them_has() -> None:
    plan = space(Residual(), default=choices(8)).plan((0,) * 9)
    assert plan.layer("first").output == plan.layer("third").output == FixedPoint(8, 4)
    assert plan.layer("second").output == FixedPoint(8, 4, signed=False)
    apart = space(Residual(), default=choices(8), agree=False).plan((0,) * 10)
    assert apart.layer("first").output == FixedPoint(8, 4, signed=False)


def test_layers_lose_their_data_and_slots_are_in_the_order_of_the_network() -> None:
    found = space(Residual())
    assert [slot.name for slot in found.slots] == [
        "input.output", "first", "first.output", "second", "second.output", "third", "add.output",
        "pool.output", "fc",
    ]  # fmt: skip
    assert {name: layer.data.text for name, layer in found.plan((0,) * 9).layers} == dict.fromkeys(
        ("input", "first", "second", "third", "add", "pool", "fc"), "float32"
    )
    assert found.size == 2**5


def test_a_key_may_name_an_edge_and_the_outputs() -> None:
    found = space(Residual(), layers=(("add", choices(2, 3, 5)), ("input", choices(8))))
    counts = {slot.name: slot.count for slot in found.slots}
    assert counts["add.output"] == 3
    assert counts["input.output"] == 1
    by_kind = space(Joined(), by="type", layers=(("cat", choices(5, 6, 7)),))
    counts = {slot.name: slot.count for slot in by_kind.slots}
    assert counts["left.output"] == 3  # what is joined agrees


def test_readers_of_one_tensor_must_have_the_same_choices() -> None:
    with pytest.raises(SettingsError, match=r"left and right.*different data_in choices.*input"):
        space(Joined(), layers=(("left", choices(4)), ("right", choices(8))))


@pytest.mark.parametrize("model", [Residual(), Joined(), Mobile()], ids=lambda model: type(model).__name__)
def test_costs_by_table_are_those_of_each_plan(model: nn.Module) -> None:
    found = space(model, default=choices(2, 4, 8, weights=(3, 8)))
    cost = NetworkCost(network(model))
    costs = EdgeCosts(found, cost)
    rng = random.Random(0)
    sampled = [tuple(rng.randrange(count) for count in found.counts) for _ in range(40)]
    table = costs.of(sampled)
    for row, options in enumerate(sampled):
        expected = cost.of(found.plan(options))
        assert {name: values[row] for name, values in table.items()} == pytest.approx(expected, rel=1e-12)
    ranges = costs.ranges()
    ends = costs.of([tuple(0 for _ in found.counts), tuple(count - 1 for count in found.counts)])
    for name in ("bitops", "energy", "model_size", "average_bitwidth"):
        assert ranges[name] == pytest.approx((ends[name].min(), ends[name].max()))
        assert np.all((table[name] >= ranges[name][0]) & (table[name] <= ranges[name][1]))
