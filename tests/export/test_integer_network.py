"""Networks in whole numbers equal their evaluation in float32."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from narrower.errors import ExportError
from narrower.evaluate.definition import defined_outputs
from narrower.export.integer_network import (
    Chain,
    integer_network,
    output_fraction_for,
    rounded_outputs,
    run_integer_network,
)
from narrower.export.logic import build_logic, run_logic
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.plan import LayerPlan, Plan
from tests.export.plans import uniform


def _program(name: str, *shape: int) -> tuple[Program, Tensor]:
    torch.manual_seed(1)
    model, inputs = build_model(name), 2 * torch.randn(300, *shape)
    with torch.no_grad():
        model.train()(inputs)
    return lower(trace(model.eval(), inputs, name)), inputs


@pytest.mark.parametrize("name", ["jsc-tiny", "jsc-toy", "jsc-trt"])
@pytest.mark.parametrize(("width", "data_frac", "weight_frac"), [(8, 4, 6), (6, 3, 4), (4, 2, 3), (2, 1, 1)])
def test_whole_numbers_equal_the_float_evaluation(
    name: str, width: int, data_frac: int, weight_frac: int
) -> None:
    program, inputs = _program(name, 16)
    plan = uniform(program, width, data_frac, weight_frac)
    network = integer_network(program, plan, output_fraction=6)
    fed = Chain(program, plan).host_inputs(inputs)
    wanted = np.floor(defined_outputs(program, plan, inputs).double().numpy() * 64 + 0.5)
    found = run_integer_network(network, fed)
    np.testing.assert_array_equal(found, wanted)
    pytest.importorskip("da4ml")
    np.testing.assert_array_equal(run_logic(build_logic(network), fed), wanted)


def test_a_fraction_for_each_channel_is_met_in_the_finest_of_the_steps() -> None:
    program, inputs = _program("jsc-tiny", 16)
    whole = uniform(program, 6, 3, 4)

    def in_channels(layer: LayerPlan, name: str) -> LayerPlan:
        shape = program.network.weights_of(program.network.product_layers[name][0])[0].shape
        fracs = tuple(3 + number % 3 for number in range(shape[0]))
        return replace(layer, weight=FixedChannels(5, fracs, rounding="half_up"))

    plan = Plan.of((name, in_channels(layer, name)) for name, layer in whole.layers)
    network = integer_network(program, plan, output_fraction=6)
    wanted = np.floor(defined_outputs(program, plan, inputs).double().numpy() * 64 + 0.5)
    found = run_integer_network(network, Chain(program, plan).host_inputs(inputs))
    np.testing.assert_array_equal(found, wanted)


def test_signed_data_without_a_relu_is_met_too() -> None:
    program, inputs = _program("jsc-three-linear", 16)
    # data as fine as the sums: nothing is rounded, only cut
    layer = LayerPlan(FixedPoint(14, 8), FixedPoint(4, 2), FixedPoint(6, 3))
    names = ("seq_blocks.2", "seq_blocks.3", "seq_blocks.4")
    fracs = (4, 6, 8)
    plan = Plan.of(
        {n: LayerPlan(FixedPoint(12, f), layer.weight, layer.bias) for n, f in zip(names, fracs, strict=True)}
    )
    network = integer_network(program, plan, output_fraction=10)
    fed = Chain(program, plan).host_inputs(inputs)
    wanted = np.floor(defined_outputs(program, plan, inputs).double().numpy() * 1024 + 0.5)
    np.testing.assert_array_equal(run_integer_network(network, fed), wanted)


def test_ties_that_half_up_cannot_give_are_refused_with_the_layer() -> None:
    class TwoLayers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x))

    model = TwoLayers().eval()
    with torch.no_grad():
        model.first.weight.fill_(0.5)
        model.second.weight.fill_(1.0)
    program = lower(trace(model, torch.randn(3, 1), "two layers"))

    def halved(width: int) -> Plan:
        wholes = FixedPoint(width, 0)
        first = LayerPlan(data=wholes, weight=FixedPoint(width, 1))
        return Plan.of({"first": first, "second": LayerPlan(data=wholes, weight=wholes)})

    # 0.5 is rounded to 0 and 1.5 to 2, half up gives 1 and 2: every second odd value is a tie
    with pytest.raises(ExportError, match=r"^first: .*ties"):
        integer_network(program, halved(10), output_fraction=0)
    # few of them are corrected one by one
    inputs = torch.arange(-32, 32).float()[:, None]
    corrected = integer_network(program, halved(6), output_fraction=0)
    found = run_integer_network(corrected, Chain(program, halved(6)).host_inputs(inputs))
    np.testing.assert_array_equal(found, defined_outputs(program, halved(6), inputs).numpy())
    finer = LayerPlan(data=FixedPoint(10, 1), weight=FixedPoint(10, 0))
    integer_network(program, Plan.of({**dict(halved(10).layers), "second": finer}), output_fraction=1)


def test_what_is_no_chain_of_fixed_point_linear_layers_is_refused_by_name() -> None:
    cnn, _ = _program("digits-cnn", 1, 8, 8)
    with pytest.raises(ExportError, match="0: a conv2d operator"):
        Chain(cnn, uniform(cnn, 8, 4, 4))
    toy, _ = _program("jsc-toy", 16)
    with pytest.raises(ExportError, match=r"seq_blocks\.2: its data is float32"):
        Chain(toy, Plan())


def test_a_branch_is_refused() -> None:
    class Branched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.first(x) + x

    program = lower(trace(Branched(), torch.randn(3, 4)))
    with pytest.raises(ExportError, match="x: 2 operators read it"):
        Chain(program, uniform(program, 8, 4, 4))


def test_outputs_are_rounded_as_coarsely_as_the_classes_allow() -> None:
    outputs = np.float32([[0.0, 0.3], [0.2, 0.0]])
    # steps of 1: 0 0; of 1/2: (0, 0.5), (0, 0) wrongly but argmax takes the first: still right
    assert output_fraction_for(outputs) == 1
    assert rounded_outputs(outputs, 1).tolist() == [[0, 1], [0, 0]]
