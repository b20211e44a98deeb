"""Products inside larger operators are counted, rounded and computed as what they are."""

import random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.cost.missing import missing
from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import Part
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize
from tests import products_zoo
from tests.flop_counter import counted_by_torch

FORMATS = (FLOAT32, FixedPoint(4, 2), FixedPoint(8, 5))


@pytest.mark.parametrize("name", sorted(products_zoo.MODELS))
def test_macs_equal_those_of_the_flop_counter(name: str) -> None:
    model, inputs = products_zoo.build(name)
    cost = NetworkCost(trace(model, inputs[:3], name).network)
    in_bilinear = 4 * (5 * 4 * 3 + 5 * 4) if name == "bilinear" else 0  # by hand: the counter misses it
    assert cost.macs == counted_by_torch(model, inputs[:1]) + in_bilinear
    assert missing(cost) == ()


@pytest.mark.parametrize("name", sorted(products_zoo.MODELS))
def test_the_deployed_form_computes_what_the_model_does(name: str) -> None:
    model, inputs = products_zoo.build(name)
    program = lower(trace(model, inputs[:3], name))
    with torch.no_grad():
        torch.testing.assert_close(defined_outputs(program, Plan(), inputs), model(inputs))


@pytest.mark.parametrize("name", sorted(products_zoo.MODELS))
def test_the_engine_equals_the_definition_bit_for_bit(name: str) -> None:
    model, inputs = products_zoo.build(name)
    program = lower(trace(model, inputs[:3], name))
    chance = random.Random(1)
    plans = [
        Plan.of({layer: LayerPlan(*chance.choices(FORMATS, k=3)) for layer in program.network.product_layers})
        for _ in range(15)
    ]
    evaluator = Evaluator(program, Part(inputs, torch.arange(len(inputs)) % 5), batch_size=16)
    evaluator.evaluate(plans)
    for plan in plans:
        expected = torch.cat([defined_outputs(program, plan, batch) for batch in torch.split(inputs, 16)])
        assert torch.equal(evaluator.outputs(plan, inputs), expected)


@pytest.mark.parametrize("name", sorted(products_zoo.MODELS))
def test_every_operand_of_every_product_changes_the_outputs(name: str) -> None:
    model, inputs = products_zoo.build(name)
    program = lower(trace(model, inputs[:3], name))
    exact = defined_outputs(program, Plan(), inputs)
    for layer, operators in program.network.product_layers.items():
        operands = {
            "data": True,
            "weight": any(map(program.network.weight_of, operators)),
            "bias": any(map(program.network.bias_of, operators)),
        }
        for operand, is_present in operands.items():
            is_zero = layer.endswith("weight_hh") and operand != "bias"  # a cell's first state
            if is_present and not is_zero:
                plan = Plan.of({layer: LayerPlan(**{operand: FixedPoint(3, 1)})})
                assert not torch.equal(defined_outputs(program, plan, inputs), exact), (layer, operand)


def test_addmm_rounds_data_weight_and_bias_like_a_linear_layer() -> None:
    model, inputs = products_zoo.build("transposed")
    data, weight, bias = FixedPoint(5, 3), FixedPoint(3, 1), FixedPoint(4, 2)
    found = defined_outputs(
        lower(trace(model, inputs[:3])), Plan.of({"weight": LayerPlan(data, weight, bias)}), inputs
    )
    assert isinstance(model, products_zoo.Transposed)
    with torch.no_grad():
        hidden = quantize(inputs, data) @ quantize(model.weight, weight) + quantize(model.bias, bias)
        torch.testing.assert_close(found, model.head(hidden.relu()))


def test_einsum_rounds_both_activations_and_a_weight() -> None:
    class Letters(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 6))

        def forward(self, x: Tensor) -> Tensor:
            y = torch.einsum("nc,oc->no", x, self.weight)
            return torch.einsum("ni,nj,ij->nj", y, x, self.weight)

    torch.manual_seed(0)
    model, x, chosen = Letters(), torch.randn(4, 6), LayerPlan(FixedPoint(5, 3), FixedPoint(4, 2))
    program = lower(trace(model, x))
    assert list(program.network.product_layers) == ["weight"]
    found = defined_outputs(program, Plan.of({"weight": chosen}), x)
    weight = quantize(model.weight, chosen.weight).detach()
    y = quantize(x, chosen.data) @ weight.t()
    # the product with x sums over nothing: it is no product of matrices, and its factors stay as they are
    expected = torch.einsum("nij,ij->nj", quantize(y[:, :, None] * x[:, None], chosen.data), weight)
    torch.testing.assert_close(found, expected)


def test_queries_that_share_keys_are_attention_with_repeated_keys() -> None:
    class Grouped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            heads = x.unflatten(-1, (4, 3)).transpose(1, 2)
            shared = heads[:, :2]
            return F.scaled_dot_product_attention(heads, shared, shared, enable_gqa=True)

    x = torch.randn(3, 5, 12)
    program = trace(Grouped(), x)
    assert NetworkCost(program.network).macs == counted_by_torch(Grouped(), x[:1]) == 4 * 5 * 5 * (3 + 3)
    torch.testing.assert_close(defined_outputs(lower(program), Plan(), x), Grouped()(x))


def test_a_weight_that_comes_first_contracts_the_rows_of_its_data() -> None:
    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(7, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.weight.t() @ (self.weight @ x)

    x = torch.randn(3, 4, 5)
    assert NetworkCost(trace(First(), x).network).macs == counted_by_torch(First(), x[:1]) == 2 * 7 * 4 * 5


def test_attention_of_one_tensor_with_itself_and_with_a_learned_query() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Parameter(torch.randn(2, 6))

        def forward(self, x: Tensor) -> Tensor:
            mixed = F.scaled_dot_product_attention(x, x, x)
            return F.scaled_dot_product_attention(self.query.unsqueeze(0), mixed, x)

    x = torch.randn(3, 5, 6)
    macs = NetworkCost(trace(Pooled(), x).network).macs
    assert macs == counted_by_torch(Pooled(), x[:1]) == (5 + 2) * 5 * (6 + 6)


@pytest.mark.parametrize("form", ["linear", "matmul"])
def test_of_two_tensors_of_the_model_the_first_is_the_data(form: str) -> None:
    class Places(nn.Module):
        """A bias that a layer computes from a buffer, as that of Swin V2."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("places", torch.randn(5, 3))
            self.weight, self.head = nn.Parameter(torch.randn(4, 3)), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            if form == "linear":
                return self.head(x + F.linear(self.places, self.weight))
            return self.head(x + self.places @ self.weight.t())

    torch.manual_seed(0)
    model, x, chosen = Places(), torch.randn(6, 5, 4), LayerPlan(FixedPoint(5, 3), FixedPoint(3, 1))
    program = lower(trace(model, x[:3]))
    assert NetworkCost(program.network).macs == 5 * 4 * 3 + 5 * 4 * 5
    plan = Plan.of({"weight": chosen})
    places = quantize(model.places, chosen.data) @ quantize(model.weight, chosen.weight).t()
    expected = model.head(x + places).detach()
    torch.testing.assert_close(defined_outputs(program, plan, x), expected)
    evaluator = Evaluator(program, Part(x, torch.arange(6) % 5), batch_size=4)
    torch.testing.assert_close(evaluator.outputs(plan, x), expected)
