"""Combinations of formats that are numbered without being listed, against lists of all of them."""

import time
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from narrower.cost.network_cost import NetworkCost
from narrower.graph.network import Network
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.minifloat import Minifloat
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import UNCHANGED, LayerPlan, Plan, plan_from_dict
from narrower.searching.build_space import build_space
from narrower.searching.costs import FormatCosts
from narrower.searching.known import Known
from narrower.searching.objective import Objective, Objectives
from narrower.searching.recorded_space import recorded_space
from narrower.searching.samplers.build import build_sampler
from narrower.searching.space import Options, Space
from narrower.searching.space_record import MOST_RECORDED, describe_space
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings

EIGHT, FRACTIONS = (2, 4, 6, 8, 10, 12, 14, 16), (1, 2, 3, 4, 5, 6, 7, 8)
BOTH = Objectives((Objective("accuracy", "maximize"), Objective("bitops", "minimize")))
FAMILIES = [("fixed",), ("fixed", "NA"), ("NA", "fixed"), ("e2m1", "fixed", "NA", "minifloat")]
OPERANDS = [
    OperandChoices((4, 8), ("NA",)),
    OperandChoices((8, 4, 8), (4, "NA", 2)),  # 8/4 is given twice by NA
    OperandChoices(("NA", 5), ("NA",)),  # may stay as it is
    OperandChoices((5, "NA"), (1, 2)),
]
FLOATS = (("exponent_width", (3, 2)), ("exponent_bias", ("NA", 1)))  # for names that read them
OPERANDS = [replace(operand, others=FLOATS) for operand in OPERANDS]


@pytest.fixture(scope="module")
def toy() -> Network:
    return trace(build_model("jsc-toy"), torch.randn(3, 16), "jsc-toy").network


def space_of(network: Network, choices: LayerChoices, *layers: str) -> Space:
    settings = SpaceSettings("name", tuple((layer, choices) for layer in layers), None)
    return build_space(network, settings, lambda _layer, _operand, width: width // 2)


def huge(families: tuple[str, ...] = ("fixed",)) -> LayerChoices:
    return LayerChoices(families, *(OperandChoices(EIGHT, FRACTIONS) for _ in range(3)))


def listed(choices: LayerChoices) -> dict[tuple[int, ...], LayerPlan]:
    """What each combination of positions gives, in their order."""

    keys = ["frac_width"] if "minifloat" not in choices.families else list(ALL_KEYS)
    lists: list[tuple[object, ...]] = [choices.families]
    for name, operand in zip(
        ("data", "weight", "bias"), (choices.data, choices.weight, choices.bias), strict=True
    ):
        lists += [operand.options(key, name) for key in ("width", *keys)]
    found = {}
    for positions in product(*(range(len(one)) for one in lists)):
        name, *values = (one[position] for one, position in zip(lists, positions, strict=True))
        each = len(values) // 3
        formats = [
            made(str(name), operand, *values[number * each : (number + 1) * each])
            for number, operand in enumerate(("data", "weight", "bias"))
        ]
        found[positions] = LayerPlan(*formats)
    return found


ALL_KEYS = ("frac_width", "exponent_width", "exponent_bias")


def made(name: str, operand: str, width: object, fraction: object, *others: object) -> NumberFormat:
    if name == "NA" or (name == "e2m1" and operand == "bias"):
        return FLOAT32
    if name == "e2m1":
        return parse_format("e2m1")
    if not isinstance(width, int):
        return FLOAT32
    if name == "fixed":
        return FixedPoint(width, fraction if isinstance(fraction, int) else width // 2)
    exponent, bias = others
    return Minifloat(width, exponent, bias if isinstance(bias, int) else 2 ** (exponent - 1) - 1)  # type: ignore[operator,arg-type]


@pytest.mark.parametrize("families", FAMILIES)
@pytest.mark.parametrize("operands", list(product(OPERANDS, repeat=3))[::5])
def test_options_are_the_different_plans_in_the_order_in_which_a_list_gives_them(
    toy: Network, families: tuple[str, ...], operands: tuple[OperandChoices, ...]
) -> None:
    choices = LayerChoices(families, *operands)
    (slot,) = space_of(toy, choices, "seq_blocks.2").slots
    found = listed(choices)
    different = list(dict.fromkeys(found.values()))
    assert slot.count == len(different)
    given = [dict(slot.fragment(option)).get("seq_blocks.2", UNCHANGED) for option in range(slot.count)]
    assert given == different
    assert [slot.option_of(positions) for positions in found] == [different.index(p) for p in found.values()]
    first = [next(at for at, plan in found.items() if plan == wanted) for wanted in different]
    assert slot.positions(np.arange(slot.count)).tolist() == [list(at) for at in first]


@pytest.mark.parametrize("families", FAMILIES)
def test_costs_by_group_equal_the_cost_of_each_plan(toy: Network, families: tuple[str, ...]) -> None:
    choices = LayerChoices(families, OPERANDS[1], OPERANDS[3], OPERANDS[2])
    space = space_of(toy, choices, "seq_blocks.2", "seq_blocks.5")
    for convention in ("narrower", "chop"):
        cost = NetworkCost(toy, convention)
        costs = FormatCosts(space, cost)
        every = list(space.enumerate())
        table = costs.of(every)
        for row, options in enumerate(every):
            assert {name: column[row] for name, column in table.items()} == cost.of(space.plan(options))
        assert costs.ranges()["bitops"] == (table["bitops"].min(), table["bitops"].max())


@pytest.mark.parametrize("families", FAMILIES[:3])
def test_plans_of_a_space_too_large_to_list_are_read_back(toy: Network, families: tuple[str, ...]) -> None:
    space = space_of(toy, huge(families), "seq_blocks.2", "seq_blocks.8")
    assert space.slots[0].count == 64**3 + ("NA" in families) > MOST_RECORDED
    record = describe_space(space)
    assert len(str(record)) < 20_000
    read = recorded_space({"space slots": record})
    assert read.size == space.size
    chance = np.random.default_rng(0)
    numbers = [0, space.size - 1, space.slots[1].count - 1]
    numbers += [int(chance.integers(space.size)) for _ in range(200)]
    for index in numbers:
        assert plan_from_dict(read.plan(index)) == space.plan(space.options_at(index))
        assert space.index_of(space.options_at(index)) == index
    assert {(f.layers[0], f.aspect, len(f.levels)) for f in read.features} == {
        (layer, aspect, 64 + ("NA" in families))
        for layer in ("seq_blocks.2", "seq_blocks.8")
        for aspect in ("data", "weight", "bias")
    }


@pytest.mark.parametrize(
    "name", ["random", "grid", "qmc", "tpe", "nsgaii", "nsgaiii", "guided", "sensitivity"]
)
def test_samplers_need_no_table_of_very_many_options(toy: Network, name: str) -> None:
    began = time.process_time()
    space = space_of(toy, huge(("fixed", "NA")), "seq_blocks.2", "seq_blocks.5", "seq_blocks.8")
    known = Known(FormatCosts(space, NetworkCost(toy)), BOTH)
    sampler = build_sampler(name, space, seed=0, wanted=40, known=known)
    tried: list[Plan] = []
    while len(tried) < 20:
        for options in sampler.ask(4):
            tried.append(space.plan(options))
            sampler.tell(options, (-0.5 - len(tried) / 100, float(known.losses([options])[0, 1])))
    assert len(set(tried)) > 10
    assert time.process_time() - began < 4


def test_sensitivity_finds_the_front_where_losses_add_up_over_operands(toy: Network) -> None:
    """Oracle: of each size the format that loses least, combined by brute force over sizes."""
    space = space_of(toy, huge(), "seq_blocks.8")
    (slot,) = space.slots
    known = Known(FormatCosts(space, NetworkCost(toy)), BOTH)
    lost = np.random.default_rng(1).random((3, 64))

    def loss(options: Options) -> float:
        digits = [options[0] // 64**2, options[0] // 64 % 64, options[0] % 64]
        return float(sum(own[digit] for own, digit in zip(lost, digits, strict=True)))

    sampler = build_sampler("sensitivity", space, seed=0, wanted=10**9, known=known)
    asked = []
    while proposals := sampler.ask(64):
        for options in proposals:
            asked.append(options)
            sampler.tell(options, (loss(options), float(known.losses([options])[0, 1])))
    assert len(asked) < 3 * 64 + 100
    best = lost.reshape(3, 8, 8).min(axis=2)  # by width: a width's eight formats follow one another
    every = [
        (best[0, d] + best[1, w] + best[2].min(), EIGHT[d] * EIGHT[w]) for d, w in product(range(8), repeat=2)
    ]
    front = {
        round(own, 9)
        for own, cost in every
        if not any(o <= own and c <= cost and (o, c) != (own, cost) for o, c in every)
    }
    assert front <= {round(loss(options), 9) for options in asked}
    assert slot.count == 64**3
