"""AdaRound: weights stay on the two values beside them, and the products that they give are nearer."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.learned_rounding import learned_weight, with_learned_rounding
from narrower.evaluate.patches import Correlations
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize


def seen(x: Tensor, wanted: Tensor) -> Correlations:
    rows = len(x)
    return Correlations((x.T @ x / rows)[None], (wanted.T @ x / rows)[None], wanted.square().mean(0)[None])


def dependent(rows: int, columns: int) -> Tensor:
    """Numbers above zero of which each row's hang together."""
    chance = torch.Generator().manual_seed(3)
    causes = max(2, columns // 4)
    mixed = torch.randn(rows, causes, generator=chance) @ torch.randn(causes, columns, generator=chance)
    return mixed.relu()


def test_roundings_come_near_to_the_best_of_all() -> None:
    torch.manual_seed(0)
    x, weight, number_format = dependent(400, 8), torch.randn(6, 8), FixedPoint(4, 1)
    wanted = x @ weight.T
    learned = learned_weight(weight, number_format, seen(x, wanted))
    floor = (weight * 2).floor()
    assert (((learned * 2 - floor) == 0) | ((learned * 2 - floor) == 1)).all()
    nearest = quantize(weight, number_format)
    found = (x @ learned.T - wanted).square().mean(0)
    before = (x @ nearest.T - wanted).square().mean(0)
    ups = torch.tensor(list(product((0.0, 1.0), repeat=8)))
    best = torch.stack(
        [
            (x @ ((row + ups) / 2).T - x @ w[:, None]).square().mean(0).min()
            for row, w in zip(floor, weight, strict=True)
        ]
    )
    assert (found <= before * (1 + 1e-5)).all()
    assert found.sum() < 0.5 * before.sum()
    assert found.sum() < 2 * best.sum()


@pytest.mark.parametrize(
    "number_format",
    [
        FixedPoint(3, 1),
        Affine(3, per="channel"),
        Affine(3, per="channel", range="mse"),
        Affine(3, symmetric=False, per="channel"),
        Affine(4, per="group32", scales="power_of_two"),
    ],
    ids=lambda number_format: number_format.text,
)
def test_what_is_stored_is_what_its_format_makes_of_it(number_format: FixedPoint | Affine) -> None:
    torch.manual_seed(0)
    x, weight = dependent(500, 48), torch.randn(10, 48)
    wanted = x @ weight.T
    learned = learned_weight(weight, number_format, seen(x, wanted))
    nearest = quantize(weight, number_format)
    assert torch.equal(quantize(learned, number_format), learned)
    assert not torch.equal(learned, nearest)
    assert (x @ learned.T - wanted).square().sum() < 0.8 * (x @ nearest.T - wanted).square().sum()


class Convolutions(nn.Module):
    """Each kind of product whose rounding is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, padding=1, stride=2)
        self.each = nn.Conv2d(8, 8, 3, padding="same", dilation=2, groups=8)
        self.pairs = nn.Conv1d(8, 12, 2, groups=2)
        self.deep = nn.Conv3d(2, 4, (1, 2, 2))
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.each(self.first(x).relu()).relu().flatten(2)
        y = self.pairs(y).relu().mean(2)
        z: Tensor = self.deep(x[:, :, None]).mean((2, 3, 4))
        return self.head(y) + z[:, :3]


def test_every_product_gives_outputs_nearer_to_those_of_the_float_network() -> None:
    torch.manual_seed(0)
    model = Convolutions().eval()
    inputs = F.avg_pool2d(torch.rand(96, 2, 16, 16), 2).cumsum(2)  # neighbours are alike
    layers = ("first", "each", "pairs", "deep", "head")
    plan = Plan.of({name: LayerPlan(weight=Affine(3, per="channel")) for name in layers})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learned = with_learned_rounding(model, plan, inputs)
    program = lower(trace(model, inputs[:2]))
    wanted = defined_outputs(program, Plan(), inputs)
    nearest = defined_outputs(program, plan, inputs)
    found = defined_outputs(lower(trace(learned, inputs[:2])), plan, inputs)
    assert (found - wanted).square().mean() < 0.5 * (nearest - wanted).square().mean()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
        is_weight = name.endswith("weight")
        assert torch.equal(learned.state_dict()[name], tensor) is not is_weight
        if is_weight:
            own = learned.state_dict()[name]
            assert torch.equal(quantize(own, Affine(3, per="channel")), own)
    again = with_learned_rounding(model, plan, inputs).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in learned.state_dict().items())


def test_formats_without_even_steps_stay_as_they_are() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4)).eval()
    learned = with_learned_rounding(model, Plan(), torch.randn(20, 4))
    assert torch.equal(learned[0].weight, model[0].weight)  # type: ignore[index]
