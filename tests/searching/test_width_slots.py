"""Spaces of widths: which choices there are, and what their plans cost."""

import itertools
import pickle

import pytest
import torch
from torch import nn

from narrower.cost.network_cost import NetworkCost
from narrower.errors import SettingsError
from narrower.graph.find_channels import find_channels
from narrower.graph.groups import Channels
from narrower.graph.resized_network import resized_network
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.plan import Plan
from narrower.searching.build_space import build_space
from narrower.searching.costs import ResizedCosts
from narrower.searching.space import Space
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings, WidthChoices
from narrower.settings.load import load_settings
from narrower.study.pose import pose
from narrower.transform.resized import resize, wanted_counts
from tests import zoo
from tests.docs.console import ROOT

SAMPLES = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))


def half(_layer: str, _operand: str, width: int) -> int:
    return width // 2


def wide(*multipliers: float, parents: tuple[str, ...] = ()) -> LayerChoices:
    return LayerChoices(width=WidthChoices(multipliers, parents))


def channels_of(model: nn.Module, inputs: torch.Tensor) -> Channels:
    return find_channels(model, trace(model, inputs))


@pytest.fixture(scope="module")
def relu() -> Channels:
    return channels_of(build_model("jsc-three-linear-relu"), SAMPLES)


def space(
    channels: Channels, layers: dict[str, LayerChoices], *, uniform: bool = False, by: str = "name"
) -> Space:
    settings = SpaceSettings(by, tuple(layers.items()), None, "quantize_and_resize", uniform)  # type: ignore[arg-type]
    return build_space(channels.network, settings, half, channels)


def test_every_combination_of_multipliers_is_a_plan(relu: Channels) -> None:
    built = space(relu, {"seq_blocks_2": wide(1, 2), "seq_blocks_4": wide(0.5, 1, 4)})
    widths = [built.plan(options).widths for options in built.enumerate()]
    expected = [
        {layer: value for layer, value in (("seq_blocks.2", a), ("seq_blocks.4", b)) if value != 1}
        for a, b in itertools.product((1, 2), (0.5, 1, 4))
    ]
    assert widths == expected


def test_costs_equal_those_of_models_that_were_built(relu: Channels) -> None:
    """The independent way: resize, trace, count."""
    formats = [OperandChoices((4, 8)), OperandChoices((2, 8)), OperandChoices((8,))]
    both = LayerChoices(("fixed",), *formats, WidthChoices((0.5, 2)))
    built = space(
        relu,
        {
            "seq_blocks_2": both,
            "seq_blocks_4": wide(0.5, 1, 4),
            "seq_blocks_6": LayerChoices(("fixed", "NA"), *formats),
        },
    )
    costs = ResizedCosts(
        built, lambda widths: NetworkCost(resized_network(relu, wanted_counts(relu, widths, {})))
    )
    assignments = list(built.enumerate())[::29]
    found = costs.of(assignments)
    model = build_model("jsc-three-linear-relu")
    for row, options in enumerate(assignments):
        plan = built.plan(options)
        network = trace(resize(model, SAMPLES, plan.widths, weights="scratch"), SAMPLES).network
        for name, value in NetworkCost(network).of(plan.formats).items():
            assert found[name][row] == value, (name, plan)
    ranges, every = costs.ranges(), costs.of(list(built.enumerate()))
    for name, values in every.items():
        assert ranges[name][0] <= values.min() <= values.max() <= ranges[name][1]
        if name not in {"average_bitwidth", "memory_density"}:
            assert ranges[name] == (values.min(), values.max())


def test_one_setting_scales_all_layers_alike(relu: Channels) -> None:
    built = space(relu, {"linear": wide(0.5, 1, 2)}, uniform=True, by="type")
    assert [built.plan(options).widths for options in built.enumerate()] == [
        {"seq_blocks.2": 0.5, "seq_blocks.4": 0.5},
        {},
        {"seq_blocks.2": 2, "seq_blocks.4": 2},
    ]


def test_uniform_widths_and_formats_meet_in_one_plan(relu: Channels) -> None:
    formats = [OperandChoices((8,))] * 3
    choices = LayerChoices(("fixed",), *formats, WidthChoices((0.5, 1)))
    built = space(relu, {"linear": choices}, uniform=True, by="type")
    assert built.size == 2
    plan = built.plan((0, 0, 0, 0))
    assert plan == Plan.of(plan.layers)
    assert [name for name, _ in plan.layers] == ["seq_blocks.2", "seq_blocks.4", "seq_blocks.6"]
    assert plan.widths == {"seq_blocks.2": 0.5, "seq_blocks.4": 0.5}
    assert all(layer.is_quantized for _, layer in plan.layers)


def test_layers_that_change_together_are_one_choice() -> None:
    model, inputs = zoo.build("residual")
    channels = channels_of(model, inputs[:3])
    group = next(group for group in channels.groups if group.can_change and len(group.layers) > 1)
    built = space(channels, {group.layers[0]: wide(0.5, 1), group.layers[1]: wide(0.5, 1)})
    assert built.size == 2
    with pytest.raises(SettingsError, match="have the same channels"):
        space(channels, {group.layers[0]: wide(0.5, 1), group.layers[1]: wide(1, 2)})


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ({"seq_blocks_6": wide(1, 2)}, r"the width of seq_blocks\.6 cannot change: it is an output"),
        ({"seq_blocks_2": wide(0.3, 1)}, r"16 channels times 0\.3 is 4\.8"),
        (
            {"seq_blocks_6": wide(parents=("seq_blocks_2",))},
            r"found 'seq_blocks_2', but .* outputs of seq_blocks\.4",
        ),
        (
            {"seq_blocks_2": wide(2, parents=("seq_blocks_4",))},
            r"found 'seq_blocks_4', but .* those of the model",
        ),
        ({"seq_blocks_4": wide(2, parents=("nothing",))}, r"no layer 'nothing'"),
        ({"seq_blocks_2": wide(1)}, "no layer is quantized or resized"),
    ],
)
def test_mistakes_name_layer_and_reason(relu: Channels, layers: dict[str, LayerChoices], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        space(relu, layers)


def test_batch_norms_and_activations_of_the_inputs_are_parents(relu: Channels) -> None:
    for parent in ("seq_blocks_0", "seq_blocks_1"):
        space(relu, {"seq_blocks_2": wide(2, parents=(parent,))})
    for parent in ("seq_blocks_3", "seq_blocks.2"):
        space(relu, {"seq_blocks_4": wide(2, parents=(parent,))})


def test_costs_can_be_sent_to_another_process() -> None:
    """The comparison of samplers does so."""
    settings = load_settings(ROOT / "configs" / "jsc-widths.toml").settings
    costs = pose(settings).costs
    sent = pickle.loads(pickle.dumps(costs))
    assert sent.ranges() == costs.ranges()
