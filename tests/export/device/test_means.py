"""A mean over positions is one step: it gives what sums of halves give, with memory for one channel."""

from math import prod
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from narrower.export.device.loops import ROW
from narrower.export.device.network import c_network
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from tests.export.device.agree import differing, needs_gcc

pytestmark = needs_gcc
LONGEST = 2 * ROW  # elements of a row
STEPS = {1: 3, 3: 4}  # input, convolution, linear layer; a mean of its own where a row is no whole channel


class Pooled(nn.Module):
    def __init__(self, sizes: tuple[int, ...], *, keeps: bool, kernel: int = 1) -> None:
        super().__init__()
        make = nn.Conv2d if len(sizes) > 1 else nn.Conv1d
        self.first, self.last = make(4, 6, kernel, padding=kernel // 2), nn.Linear(6, 3)
        self.dimensions, self.keeps = tuple(range(2, 2 + len(sizes))), keeps

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.relu(self.first(x)).mean(dim=self.dimensions, keepdim=self.keeps)
        scores: Tensor = self.last(pooled.flatten(1))
        return scores


FORMATS = {
    "whole": LayerPlan(FixedPoint(6, 3), FixedPoint(4, 3), FixedPoint(8, 4)),
    # sums of 16 and 12 bits pass 2**24 steps, where float32 and so the order of additions rounds
    "rounded": LayerPlan(FixedPoint(12, 8), FixedPoint(10, 8), FixedPoint(16, 9)),
    "scaled": LayerPlan(Affine(8, scale=2.0**-6), FixedPoint(6, 4), FixedPoint(8, 4)),
}


@pytest.mark.parametrize("kernel", STEPS)
@pytest.mark.parametrize("formats", FORMATS)
@pytest.mark.parametrize(
    ("sizes", "keeps"), [((7, 5), True), ((1, 9), False), ((13,), True), ((2, 2), False), ((16, 20), True)]
)
def test_every_mean_is_that_of_the_evaluation(
    sizes: tuple[int, ...], keeps: bool, formats: str, kernel: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model, inputs = Pooled(sizes, keeps=keeps, kernel=kernel).eval(), torch.randn(200, 4, *sizes) * 4
    if formats == "rounded":
        inputs = inputs.abs()
        model.first.weight.data = 3 * model.first.weight.data.abs()
    program = lower(trace(model, inputs[:2], "net"))
    plan = Plan.of(dict.fromkeys(("first", "last"), FORMATS[formats]))
    different, network = differing(program, plan, inputs, tmp_path)
    assert different == 0
    is_cut = prod(sizes) > LONGEST  # a row of the convolution is then no whole channel
    assert network.steps <= STEPS[3 if is_cut else kernel]


@pytest.mark.parametrize("kernel", STEPS)
def test_memory_is_that_of_one_channel_where_a_row_is_one(kernel: int) -> None:
    torch.manual_seed(0)
    model = Pooled((25, 5), keeps=False, kernel=kernel).eval()
    program = lower(trace(model, torch.randn(2, 4, 25, 5), "net"))
    network = c_network(program, Plan.of(dict.fromkeys(("first", "last"), FORMATS["whole"])), "net", "size")
    row, means = 125 * 4, 8  # bytes; six means of 6 bits, in words of four
    sums = 6 * 125 * 2 if kernel > 1 else 0  # of 16 bits
    assert network.ram_bytes == row + means + sums
