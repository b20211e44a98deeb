"""Spaces: what can be chosen, counted by hand."""

import pytest
import torch

from narrower.cost.network_cost import NetworkCost
from narrower.errors import SettingsError
from narrower.graph.network import Network
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.searching.build_space import build_space
from narrower.searching.costs import FormatCosts
from narrower.searching.space import Space
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings
from tests import zoo


@pytest.fixture(scope="module")
def toy() -> Network:
    return trace(build_model("jsc-toy"), torch.randn(3, 16), "jsc-toy").network


def choices(*, data: tuple = (4, 8), weight: tuple = (2, 4, 8), bias: tuple = (2, 4, 8)) -> LayerChoices:
    return LayerChoices(("fixed",), *(OperandChoices(widths) for widths in (data, weight, bias)))


def half(_layer: str, _operand: str, width: int) -> int:
    return width // 2


def built(network: Network, by: str, layers: dict[str, LayerChoices]) -> Space:
    return build_space(network, SpaceSettings(by, tuple(layers.items()), None), half)  # type: ignore[arg-type]


def test_three_layers_of_18_options_make_5832_plans(toy: Network) -> None:
    for by, keys in (
        ("name", ["seq_blocks_2", "seq_blocks.5", "seq_blocks_8"]),
        ("type", ["linear"]),
        ("regex", [r"seq_blocks\.\d"]),
    ):
        space = built(toy, by, dict.fromkeys(keys, choices()))
        assert space.size == (2 * 3 * 3) ** 3
        assert len({space.plan(options) for options in space.enumerate()}) == 5832


def test_index_and_options_belong_together(toy: Network) -> None:
    space = built(toy, "type", {"linear": choices()})
    for index, options in enumerate(space.enumerate()):
        assert space.index_of(options) == index
        assert space.options_at(index) == options


def test_a_bias_width_on_a_layer_without_bias_makes_no_difference() -> None:
    model, inputs = zoo.build("residual")  # its stem has no bias
    network = trace(model, inputs[:3], "residual").network
    space = built(network, "name", {"stem": choices(data=(8,), weight=(4,), bias=(2, 4, 8))})
    assert space.size == 1


def test_what_is_not_quantized_is_one_option_whatever_its_widths(toy: Network) -> None:
    layer = LayerChoices(("NA", "fixed"), *(OperandChoices((4, 8)) for _ in range(3)))
    assert built(toy, "name", {"seq_blocks.2": layer}).size == 1 + 8


def test_two_fractions_that_are_equal_are_one_option(toy: Network) -> None:
    layer = LayerChoices(
        ("fixed",), OperandChoices((8,), ("NA", 4, 5)), OperandChoices((4,)), OperandChoices((4,))
    )
    assert built(toy, "name", {"seq_blocks.2": layer}).size == 2  # NA is 4


def test_costs_by_table_equal_the_cost_of_each_plan(toy: Network) -> None:
    space = built(toy, "type", {"linear": choices()})
    for convention in ("narrower", "chop"):
        cost = NetworkCost(toy, convention)
        options = [space.options_at(index) for index in range(0, 5832, 97)]
        table = FormatCosts(space, cost).of(options)
        for row, assignment in enumerate(options):
            assert {name: values[row] for name, values in table.items()} == cost.of(space.plan(assignment))


def test_ranges_are_the_smallest_and_largest_of_all_plans(toy: Network) -> None:
    space = built(toy, "type", {"linear": choices()})
    costs = FormatCosts(space, NetworkCost(toy))
    table = costs.of(list(space.enumerate()))
    assert costs.ranges() == {name: (values.min(), values.max()) for name, values in table.items()}


def test_the_content_hash_sees_one_option(toy: Network) -> None:
    one, other = (built(toy, "type", {"linear": choices(weight=w)}) for w in ((2, 4), (2, 5)))
    assert one.content_hash != other.content_hash


@pytest.mark.parametrize(
    ("by", "key", "said"),
    [
        ("name", "seq_block_2", "did you mean"),
        ("name", "seq_blocks.3", "no operands to quantize"),
        ("type", "conv2d", "its types: linear"),
        ("regex", "head.*", "matches no layer"),
        ("regex", "(", "not a regular expression"),
    ],
)
def test_a_key_that_matches_nothing_is_an_error(toy: Network, by: str, key: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        built(toy, by, {key: choices()})


def test_plans_are_canonical(toy: Network) -> None:
    space = built(toy, "name", {"seq_blocks.8": choices(), "seq_blocks.2": choices()})
    plan = space.plan((0, 0))
    assert plan == Plan.of(
        {
            name: LayerPlan(FixedPoint(4, 2), FixedPoint(2, 1), FixedPoint(2, 1))
            for name in ("seq_blocks.8", "seq_blocks.2")
        }
    )
