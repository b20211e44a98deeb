"""The numbers that users of MASE/chop know."""

import torch

from narrower.cost.chop import chop_average_bitwidth, chop_profile
from narrower.graph.network import Network
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan


def network(name: str) -> Network:
    return trace(build_model(name), torch.randn(3, 16), name).network


def test_jsc_tiny_at_batch_8_has_the_published_table() -> None:
    found = chop_profile(network("jsc-tiny"), 8)
    rows = [
        (
            row.kind,
            row.total_parameters,
            row.computations,
            row.backward_computations,
            row.input_buffer_size,
            row.output_buffer_size,
            row.bitops,
        )
        for row in found.layers
    ]
    assert rows == [
        ("BatchNorm1d", 32, 512, 512, 128, 128, 16384),
        ("ReLU", 0, 128, 128, 128, 128, 4096),
        ("Linear", 80, 640, 1280, 128, 40, 20480),
        ("ReLU", 0, 40, 40, 40, 40, 1280),
    ]
    assert (found.flops, found.bitops, found.model_size_bytes) == (1320, 42240, 468)


def test_the_data_width_scales_the_bit_operations_of_its_layer_alone() -> None:
    plan = Plan.of({"seq_blocks.2": LayerPlan(data=FixedPoint(4, 2))})
    assert chop_profile(network("jsc-tiny"), 8, plan).bitops == 42240 - 20480 + 640 * 4


def test_the_average_leaves_out_layers_without_a_format() -> None:
    toy = network("jsc-toy")  # weights: 128, 64 and 40
    eight, two = LayerPlan(weight=FixedPoint(8, 4)), LayerPlan(weight=FixedPoint(2, 1))
    assert chop_average_bitwidth(toy, Plan.of({"seq_blocks.2": eight})) == 8
    both = Plan.of({"seq_blocks.2": eight, "seq_blocks.8": two})
    assert chop_average_bitwidth(toy, both) == (128 * 8 + 40 * 2) / 168
    assert chop_average_bitwidth(toy, Plan()) is None
