"""A weight that is computed from parameters is one parameter of what is scored."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import Part
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.program import with_parameters
from narrower.graph.resized_network import deployed_network
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize
from narrower.transform.resized import wanted_counts, with_counts
from narrower.transform.tried_channels import tried_channels
from tests import computed_zoo
from tests.computed_zoo import FORMS, Between, StandardisedConvolution

NARROW = FixedPoint(5, 3)


def _name(form: str) -> str:
    return "layer.matmul" if form == "matrix" else "layer"


@pytest.mark.parametrize("form", FORMS)
def test_a_computed_weight_is_a_parameter_of_its_layer(form: str) -> None:
    model, inputs = computed_zoo.build(form)
    program = trace(model, inputs[:3])
    network = program.network
    assert list(network.product_layers) == ["first", _name(form), "last"]
    (operator,) = network.product_layers[_name(form)]
    weight = network.weight_of(operator)
    effective = FORMS[form][2](model.layer)
    assert weight is not None
    assert weight.name == f"{_name(form)}.weight"
    assert weight.shape == tuple(effective.shape)
    # what is stored: the plain layers and the result, not what it is computed from
    others = [p for layer in (model.first, model.last) for p in layer.parameters()]
    bias = 0 if form == "matrix" else 4
    assert sum(p.numel for p in network.parameters) == (
        sum(p.numel() for p in others) + effective.numel() + bias
    )
    node = next(node for node, name in program.parameter_names.items() if name == weight.name)
    torch.testing.assert_close(program.tensors[node], effective.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_scored_computes_what_the_model_computes(form: str) -> None:
    model, inputs = computed_zoo.build(form)
    with torch.no_grad():
        expected = model(inputs)
    found = defined_outputs(lower(trace(model, inputs[:3])), Plan(), inputs)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_plan_rounds_the_weight_that_is_multiplied(form: str) -> None:
    model, inputs = computed_zoo.build(form)
    plan = Plan.of({_name(form): LayerPlan(weight=NARROW)})
    program = lower(trace(model, inputs[:3]))
    found = defined_outputs(program, plan, inputs)
    rounded = quantize(FORMS[form][2](model.layer).detach(), NARROW)
    with torch.no_grad():
        y = torch.relu(model.first(inputs))
        bias = getattr(model.layer, "bias", None)
        if form in ("lora", "sliced"):
            bias = model.layer.base.bias if form == "lora" else model.layer.shift[:4]
        if rounded.dim() == 4:
            y = F.conv2d(y, rounded, bias)
        else:
            y = y @ rounded if form == "matrix" else F.linear(y, rounded, bias)
        y = torch.relu(y)
        expected = model.last(y.mean(dim=(2, 3)) if y.dim() == 4 else y)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, defined_outputs(program, Plan(), inputs), atol=1e-3)
    evaluator = Evaluator(program, Part(inputs, torch.zeros(len(inputs), dtype=torch.long)))
    assert torch.equal(evaluator.outputs(plan, inputs), found)


@pytest.mark.parametrize("form", FORMS)
def test_costs_count_the_weights_width(form: str) -> None:
    model, inputs = computed_zoo.build(form)
    cost = NetworkCost(trace(model, inputs[:3]).network)
    plain, narrow = (
        cost.of(Plan.of({_name(form): LayerPlan(weight=w)})) for w in (FixedPoint(32, 8), NARROW)
    )
    count = FORMS[form][2](model.layer).numel()
    assert plain["model_size"] - narrow["model_size"] == count * (32 - 5) / 8
    per_output = count // 4
    outputs = 4 * 5 * 5 if FORMS[form][1] else 4
    assert plain["bitops"] - narrow["bitops"] == outputs * per_output * 32 * (32 - 5)


def test_a_layer_that_is_called_twice_has_one_weight() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))
            self.standard = StandardisedConvolution(3, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.standard(torch.relu(self.standard(x))).mean(dim=2)
            return self.layer(torch.relu(self.layer(x))).flatten(1)

    torch.manual_seed(0)
    model, inputs = Twice().eval(), torch.randn(5, 3, 6, 6)
    program = trace(model, inputs[:3])
    assert {name: len(calls) for name, calls in program.network.product_layers.items()} == {
        "standard": 2,
        "layer": 2,
    }
    assert sorted(p.name for p in program.network.parameters) == [
        "layer.bias",
        "layer.weight",
        "standard.bias",
        "standard.weight",
    ]
    with torch.no_grad():
        expected = model(inputs)
    torch.testing.assert_close(defined_outputs(lower(program), Plan(), inputs), expected)


def test_a_parameter_that_is_still_read_keeps_its_name() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(F.linear(x, self.weight), self.weight * 2)

    program = trace(nn.Sequential(Both()).eval(), torch.randn(3, 4))
    assert [p.name for p in program.network.parameters] == ["0.weight", "0.linear.weight"]
    assert list(program.network.product_layers) == ["0", "0.linear"]


def test_a_weight_that_depends_on_the_data_stays_computed() -> None:
    class Dynamic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend, self.bank = nn.Linear(4, 2), nn.Parameter(torch.randn(2, 12))

        def forward(self, x: Tensor) -> Tensor:
            weight = torch.softmax(self.attend(x.mean(0)), dim=0) @ self.bank
            return F.linear(x, weight.view(3, 4))

    program = trace(Dynamic().eval(), torch.randn(3, 4))
    assert program.folding is None
    (operator,) = program.network.product_layers["linear"]
    assert program.network.weight_of(operator) is None


def test_other_widths_are_those_of_the_module() -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.utils.parametrizations.weight_norm(nn.Linear(8, 6))
            self.last = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.relu(self.first(x)))

    torch.manual_seed(0)
    model, inputs = Normed().eval(), torch.randn(3, 8)
    program = trace(model, inputs)
    channels = tried_channels(model, program, (inputs,))
    counts = wanted_counts(channels, {"first": 1.5}, {})
    resized = with_counts(model, (inputs,), channels, counts, weights="slice", seed=0)
    real, pictured = trace(resized.eval(), inputs), deployed_network(channels, counts)
    assert {p.name: p.shape for p in pictured.parameters} == {
        p.name: p.shape for p in real.network.parameters
    }
    assert pictured.parameter_by_name["first.weight"].shape == (9, 8)
    assert NetworkCost(pictured).of(Plan()) == NetworkCost(real.network).of(Plan())
    assert with_parameters(program, resized, pictured) is None  # the weight must be computed anew


@pytest.mark.parametrize("form", FORMS)
def test_tracing_twice_gives_the_same_hash_and_leaves_the_model_alone(form: str) -> None:
    model, inputs = computed_zoo.build(form)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert trace(model, inputs[:3]).content_hash == trace(model, inputs[:3]).content_hash
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert isinstance(model, Between)
