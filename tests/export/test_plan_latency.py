"""What is measured, once for equal graphs, and what is said of layers without a kernel."""

import torch

from narrower.export.onnx_model import to_onnx
from narrower.export.plan_latency import LatencyMeter, median_interval, structure
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.models.build import build_model
from tests.export.plans import uniform


def _toy() -> Program:
    return lower(trace(build_model("jsc-toy").eval(), torch.randn(3, 16), "jsc-toy"))


def test_the_interval_of_a_median_is_taken_from_order_statistics() -> None:
    # 100 values: 50 -+ 1.96 * sqrt(100) / 2 = 40.2 and 59.8
    assert median_interval(range(100)) == (40, 60)
    assert median_interval([3.0]) == (3.0, 3.0)


def test_graphs_that_differ_in_constants_alone_are_equal() -> None:
    program = _toy()
    eight, finer, four = (
        structure(to_onnx(program, uniform(program, *formats)))
        for formats in ((8, 4, 4), (8, 3, 5), (4, 2, 2))
    )
    assert eight == finer
    assert eight != four  # a Clip before each QuantizeLinear


def test_eight_bits_have_kernels_and_twenty_have_none() -> None:
    program = _toy()
    meter = LatencyMeter(program, torch.randn(4, 16), batch_size=8, limit_seconds=0.01)
    eight = meter.measure(uniform(program, 8, 4, 4))
    assert eight.batch_size == 8
    assert [kernel.kernel is not None for kernel in eight.kernels] == [True] * 3
    assert eight.ratio_low <= eight.ratio <= eight.ratio_high
    assert meter.measure(uniform(program, 8, 5, 6)) is eight
    wide = meter.measure(uniform(program, 20, 8, 8))
    assert wide.without_kernel == tuple(f"seq_blocks.{i} (20 x 20 bits)" for i in (2, 5, 8))
