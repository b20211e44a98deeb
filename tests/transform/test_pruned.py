"""Channels that zeros leave without weights are taken out, and nothing is computed otherwise."""

import pytest
import torch
from torch import Tensor, nn

import narrower
from narrower.cost.network_cost import NetworkCost
from narrower.data.parts import Part
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.sparse import Sparse
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.pruned import without_pruned

X = FixedPoint(8, 4)


def samples(*shape: int) -> Tensor:
    return torch.randn(40, *shape, generator=torch.Generator().manual_seed(0))


def chain() -> nn.Sequential:
    """Of 12 channels, 3 of small weights: two whose bias is at most 0, and one that gives a constant."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 3))
    with torch.no_grad():
        model[0].weight[[2, 5, 7]] *= 1e-3  # type: ignore[index]
        model[0].bias.copy_(torch.linspace(0.1, 0.9, 12))  # type: ignore[union-attr,operator]
        model[0].bias[[2, 5]] = torch.tensor([-0.5, 0.0])  # type: ignore[index]
    return model.eval()


PLAN = Plan.of(
    {
        "0": LayerPlan(X, Sparse(6, 5, 35), FixedPoint(8, 5)),
        "2": LayerPlan(X, Sparse(6, 5, 50, group=4), FixedPoint(8, 5)),
        "4": LayerPlan(X, FixedPoint(6, 4), FixedPoint(8, 5)),
    }
)


def outputs(model: nn.Module, plan: Plan, inputs: Tensor) -> Tensor:
    program = lower(trace(model, inputs[:3]))
    return Evaluator(program, Part(inputs, torch.arange(len(inputs)) % 3)).outputs(plan, inputs)


def test_a_chain_loses_two_channels_and_computes_the_same() -> None:
    model, inputs = chain(), samples(8)
    zeros = [int((row == 0).all()) for row in narrower.quantized(model, PLAN).get_submodule("0").weight]  # type: ignore[union-attr]
    assert sum(zeros) == 3
    found = without_pruned(model, PLAN, inputs[:4])
    assert found.taken == {"0": 2}
    sizes = [tuple(found.model.get_submodule(name).weight.shape) for name in ("0", "2", "4")]  # type: ignore[arg-type]
    assert sizes == [(10, 8), (10, 10), (3, 10)]
    again = outputs(found.model, found.plan, inputs)
    torch.testing.assert_close(again, outputs(model, PLAN, inputs), rtol=0, atol=1e-6)
    before, after = (
        NetworkCost(lower(trace(m, inputs[:3])).network).of(p)
        for m, p in ((model, PLAN), (found.model, found.plan))
    )
    assert after["bitops"] < before["bitops"]
    assert after["macs"] == before["macs"] - 2 * 8 - 10 * 2
    assert after["flops"] < before["flops"]
    assert isinstance(found.plan.layer("0").weight, Sparse)
    assert model[0].weight.shape == (12, 8)  # the model is left as it is


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.stem, self.norm = nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.inner, self.back = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.head = nn.Linear(8, 3)
        with torch.no_grad():
            self.norm.running_mean.copy_(torch.randn(8))  # type: ignore[union-attr]
            for layer, channels in ((self.stem, [1, 4]), (self.inner, [0, 3]), (self.back, [1, 6])):
                layer.weight[channels] *= 1e-3
                assert layer.bias is not None
                layer.bias.fill_(-0.1)
            self.norm.bias.fill_(-5.0)  # what has no weights is far below zero

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(x + self.back(torch.relu(self.inner(x))))
        return self.head(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def test_channels_that_an_addition_ties_go_together_or_stay() -> None:
    model, inputs = Residual().eval(), samples(2, 6, 6)
    own = LayerPlan(X, Sparse(6, 5, 30), FixedPoint(8, 5))
    plan = Plan.of(dict.fromkeys(("stem", "inner", "back"), own) | {"head": LayerPlan(X, FixedPoint(6, 4))})
    found = without_pruned(model, plan, inputs[:4])
    assert found.taken["inner"] == 2
    assert found.taken.get("stem", 0) in (0, 1)  # channel 1 is without weights in both, 4 and 6 in one
    torch.testing.assert_close(
        outputs(found.model, found.plan, inputs), outputs(model, plan, inputs), rtol=0, atol=1e-5
    )


def test_where_no_channel_is_without_weights_nothing_changes() -> None:
    model, inputs = chain(), samples(8)
    plan = Plan.of({"0": LayerPlan(X, FixedPoint(6, 5))})
    with torch.no_grad():
        model[0].weight[[2, 5, 7]] *= 1e3  # type: ignore[index]
    found = without_pruned(model, plan, inputs[:4])
    assert (found.taken, found.plan) == ({}, plan)


def test_one_channel_stays_where_all_are_without_weights() -> None:
    model, inputs = chain(), samples(8)
    with torch.no_grad():
        model[2].weight.fill_(1e-4)  # type: ignore[union-attr,operator]
        model[2].bias.fill_(-1.0)  # type: ignore[union-attr,operator]
    plan = Plan.of({"2": LayerPlan(X, Sparse(6, 5, 50), FixedPoint(8, 5))})
    found = without_pruned(model, plan, inputs[:4])
    assert found.taken == {"2": 9}
    torch.testing.assert_close(
        outputs(found.model, found.plan, inputs), outputs(model, plan, inputs), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("seed", range(4))
def test_any_chain_with_zeros_computes_the_same(seed: int) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 3)).eval()
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight[torch.rand(len(layer.weight)) < 0.5] *= 0.01  # type: ignore[index,arg-type]
            layer.bias.sub_(0.2)  # type: ignore[union-attr,operator]
    plan = Plan.of({name: LayerPlan(X, Sparse(5, 4, 60), FixedPoint(8, 5)) for name in ("0", "2")})
    found = without_pruned(model, plan, samples(6)[:4])
    torch.testing.assert_close(
        outputs(found.model, found.plan, samples(6)), outputs(model, plan, samples(6)), rtol=0, atol=1e-6
    )
