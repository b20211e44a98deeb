"""Where pairs of 8-bit products can pass 16 bits, a file for a processor that saturates them avoids bytes."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from narrower.data.datasets import DataSet, Part
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.processor import SWITCH, saturates_pairs
from narrower.export.deliver import export_plan
from narrower.export.execute import onnx_session, run_onnx
from narrower.export.onnx_model import build_onnx
from narrower.export.pair_sums import pairs_saturate
from narrower.export.plan_latency import INTEGER_KERNELS
from narrower.export.subject import Subject, Wishes
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.grid import Grid
from narrower.plan.plan import LayerPlan, Plan

BYTES = Grid(0, -128, 127)


class Products(nn.Module):
    """Large and small weights, a product of two data, and one whose constant comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.large, self.small = nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
        self.mixing = nn.Parameter(torch.randn(5, 5))
        with torch.no_grad():
            self.large.weight.mul_(100)

    def forward(self, x: Tensor) -> Tensor:
        x = self.small(self.large(x))
        return (self.mixing @ (x @ x.mT)).flatten(1)


PRODUCTS = {"large", "small", "matmul", "mixing"}


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=9), st.sampled_from([Grid(0, 0, 255), BYTES]))
def test_any_two_products_of_an_output_count(weights: list[int], data: Grid) -> None:
    """By trying every pair of weights with every pair of extreme bytes, 0 or 255."""
    sums = {255 * w for w in weights} | {255 * (v + w) for v, w in combinations(weights, 2)}
    wanted = any(not -(2**15) < total < 2**15 for total in sums)
    assert pairs_saturate(data, BYTES, np.array([weights])) == wanted


def test_what_has_no_kernel_that_saturates_does_not() -> None:
    wide, unsigned = Grid(0, -256, 255), Grid(0, 0, 255)
    assert pairs_saturate(BYTES, BYTES)
    assert not any(
        pairs_saturate(first, second)
        for first, second in [(None, BYTES), (BYTES, None), (wide, BYTES), (BYTES, wide), (BYTES, unsigned)]
    )


@pytest.mark.parametrize(
    ("width", "saturating"),
    [(8, ("large", "matmul", "mixing")), (6, ())],  # 6 bits: (31 + 128) * 2 * 32 is less than 2**15
)
def test_products_that_could_saturate_are_computed_in_float32(
    width: int, saturating: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    inputs, path = 9 * torch.randn(40, 5, 8), tmp_path / "m.onnx"
    program = lower(trace(Products().eval(), inputs, "products"))
    layer = LayerPlan(FixedPoint(width, 3), FixedPoint(width, 5), FixedPoint(width, 5))
    plan = Plan.of(dict.fromkeys(PRODUCTS, layer))
    wanted = defined_outputs(program, plan, inputs).numpy()
    files, kernels = {}, {}
    for said in ("off", ""):
        monkeypatch.setenv(SWITCH, said)
        built = build_onnx(program, plan)
        assert built.saturating_matrices == saturating
        files[said] = built.model.SerializeToString()
        path.write_bytes(files[said])
        kernels[said] = _integer_kernels(path)
        if said:  # without the switch this processor may saturate
            np.testing.assert_array_equal(run_onnx(path, inputs), wanted)
    if saturating:
        assert kernels["off"] == 1  # that of the small weights
        assert kernels["off"] < kernels[""] or saturates_pairs()
    else:
        assert files["off"] == files[""]


def _integer_kernels(path: Path) -> int:
    dump = path.with_name("run.onnx")
    onnx_session(path, dump=dump)
    found = Counter(node.op_type for node in onnx.load(dump).graph.node)
    return sum(found[kernel] for kernel in INTEGER_KERNELS)


def test_the_manifest_names_layers_that_could_saturate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "off")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 3)).eval()
    with torch.no_grad():
        model[0].weight.mul_(100)
    part = Part(50 * torch.randn(1200, 16), torch.arange(1200) % 3)
    number = FixedPoint(8, 5)
    subject = Subject(
        model,
        "saturating",
        Plan.of({"0": LayerPlan(number, number, number)}),
        DataSet("own", part, part, part, ("a", "b", "c")),
    )
    manifest = export_plan(subject, "onnx", tmp_path, Wishes(samples=1000))
    assert manifest.passed
    assert manifest.notes == (
        "in float32 for processors without VNNI, where pairs of their 8-bit products can pass 16 bits: 0",
    )
