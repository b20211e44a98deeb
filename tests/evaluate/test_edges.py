"""Plans that round edges: the engine against a forward that is written out, and against one plan alone."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import Part
from narrower.errors import ModelError, UnknownNameError
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.deployed import deployed
from narrower.evaluate.program_engine import ProgramEngine
from narrower.graph.edges import edges_of
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantized import quantized
from narrower.transform.quantizers.quantize import quantize
from tests.edge_zoo import Joined, Mobile, Residual, chain

WEIGHT, BIAS = FixedPoint(6, 5), FixedPoint(8, 6)
FORMATS = {
    "input": FixedPoint(6, 3),
    "first": FixedPoint(5, 3, signed=False),
    "second": FixedPoint(4, 2, signed=False),
    "third": FixedPoint(5, 3),
    "add": FixedPoint(4, 2, signed=False),
    "pool": FixedPoint(7, 5, signed=False),
    "fc": FixedPoint(9, 5),
    "left": FixedPoint(5, 3, signed=False),
    "right": FixedPoint(4, 2),
    "cat": FixedPoint(4, 1),
    "last": FixedPoint(6, 3, signed=False),
    "0": FixedPoint(6, 4, signed=False),
    "2": FixedPoint(5, 3, signed=False),
    "4": FixedPoint(8, 4),
}


def plan_of(program: Program) -> Plan:
    network = program.network
    layers = {}
    for edge in edges_of(network).edges:
        is_product = edge.name in network.product_layers
        weight, bias = (WEIGHT, BIAS) if is_product else (FLOAT32, FLOAT32)
        layers[edge.name] = LayerPlan(weight=weight, bias=bias, output=FORMATS[edge.name])
    return Plan.of(layers)


def q(x: Tensor, edge: str) -> Tensor:
    return quantize(x, FORMATS[edge])


def operands(layer: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    assert layer.bias is not None
    return quantize(layer.weight.detach(), WEIGHT), quantize(layer.bias.detach(), BIAS)


def written_out(model: nn.Module, x: Tensor) -> Tensor:
    """Each network's forward by hand, every tensor rounded once where it is written."""
    x = q(x, "input")
    if isinstance(model, Residual):
        y = q(F.conv2d(x, *operands(model.first), padding=1).relu(), "first")
        z = q(F.conv2d(y, *operands(model.second), padding=1).relu(), "second")
        z = q(F.conv2d(z, *operands(model.third), padding=1), "third")
        pooled = q(q((z + y).relu(), "add").mean((2, 3)), "pool")
        return q(F.linear(pooled, *operands(model.fc)), "fc")
    if isinstance(model, Joined):
        left = q(F.conv2d(x, *operands(model.left), padding=1).relu(), "left")
        right = q(F.conv2d(x, *operands(model.right)), "right")
        pooled = F.max_pool2d(q(torch.cat([left, right], 1), "cat"), 2)
        last = q(F.conv2d(pooled, *operands(model.last)).relu(), "last")
        return q(F.linear(last.flatten(1), *operands(model.fc)), "fc")
    assert isinstance(model, nn.Sequential)
    for name in ("0", "2"):
        x = q(F.linear(x, *operands(model[int(name)])).relu(), name)
    return q(F.linear(x, *operands(model[4])), "4")


@pytest.mark.parametrize("model", [chain(), Residual(), Joined()], ids=["chain", "residual", "concat"])
def test_edges_are_rounded_once_where_they_are_written(model: nn.Module) -> None:
    x = torch.randn(16, 6) if isinstance(model, nn.Sequential) else torch.randn(16, 3, 8, 8)
    program = lower(trace(model.eval(), x[:2]))
    plan, expected = plan_of(program), written_out(model, x)  # fixed point: sums are exact in any order
    engine = ProgramEngine(program, Part(x, torch.zeros(16, dtype=torch.long)), 16, {}, 2**24)
    assert torch.equal(engine.outputs(plan, x), expected)
    assert torch.equal(defined_outputs(program, plan, x), expected)
    assert torch.equal(deployed(program, plan)(x), expected)


def test_plans_that_share_values_get_the_scores_of_each_alone() -> None:
    torch.manual_seed(0)
    model = Mobile().eval()
    x, targets = torch.randn(24, 3, 8, 8), torch.randint(5, (24,))
    program = lower(trace(model, x[:2]))
    edges = [edge.name for edge in edges_of(program.network).edges]
    widths = torch.randint(2, 7, (12, len(edges))).tolist()
    plans = [
        Plan.of({edge: LayerPlan(output=FixedPoint(w, w - 2)) for edge, w in zip(edges, row, strict=True)})
        for row in widths
    ]
    # Some round what products read besides, some round nothing.
    plans += [
        Plan.of({**dict(plan.layers), "block.0": LayerPlan(data=FixedPoint(3, 1), output=FixedPoint(4, 2))})
        for plan in plans[:3]
    ]
    plans += [Plan(), Plan.of({"fc": LayerPlan(weight=FixedPoint(4, 3))})]
    engine = ProgramEngine(program, Part(x, targets), 12, {}, 2**24)
    own = engine.contributions(plans)
    for plan, contributions in zip(plans, own, strict=True):
        expected = torch.cat([defined_outputs(program, plan, part) for part in x.split(12)])
        assert torch.equal(engine.outputs(plan, x), expected)
        assert torch.equal(contributions.bool(), expected.argmax(1) == targets)
    assert len({tuple(row) for row in own.tolist()}) > 1
    qualities = engine.score(plans, loss=True)
    assert [quality.metrics["accuracy"] for quality in qualities] == own.double().mean(1).tolist()


def test_an_edge_that_there_is_not_is_named() -> None:
    program = lower(trace(chain().eval(), torch.randn(2, 6)))
    with pytest.raises(UnknownNameError, match=r"unknown edge '1'.*input, 0, 2, 4"):
        deployed(program, Plan.of({"1": LayerPlan(output=FixedPoint(8, 4))}))
    with pytest.raises(UnknownNameError, match="unknown layer 'input'"):
        deployed(program, Plan.of({"input": LayerPlan(data=FixedPoint(8, 4))}))


def test_what_is_rounded_in_place_was_read_by_nothing_else() -> None:
    """The same plans one after the other, in any order, with values held and without."""
    torch.manual_seed(1)
    x = torch.randn(16, 3, 8, 8)
    program = lower(trace(Residual().eval(), x[:2]))
    names = ("input", "first", "second", "third", "add", "pool")
    plans = [
        Plan.of({name: LayerPlan(output=FixedPoint(width, 2)) for name in names for width in (wide,)})
        for wide in (6, 3, 6, 4, 3)
    ]
    plans += [Plan.of({**dict(plans[0].layers), "second": LayerPlan(output=FixedPoint(2, 1))})]
    expected = [defined_outputs(program, plan, x) for plan in plans]
    part = Part(x, torch.zeros(16, dtype=torch.long))
    for capacity in (0, 2**24):
        engine = ProgramEngine(program, part, 16, {}, capacity)
        for plan, outputs in zip(plans, expected, strict=True):
            assert engine.contributions([plan])[0].tolist() == (outputs.argmax(1) == 0).tolist()
        own = engine.contributions(plans)
        assert own.tolist() == [(outputs.argmax(1) == 0).tolist() for outputs in expected]
        assert all(torch.equal(engine.outputs(p, x), e) for p, e in zip(plans, expected, strict=True))


def test_modules_that_are_trained_refuse_edges() -> None:
    with pytest.raises(ModelError, match="rounds edges"):
        quantized(chain(), Plan.of({"0": LayerPlan(output=FixedPoint(8, 4))}))
