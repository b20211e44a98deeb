"""Weights and data of every family in ONNX give what the search scored."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from narrower.evaluate.definition import defined_outputs
from narrower.export.onnx_model import to_onnx
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import LayerPlan, Plan


class Several(nn.Module):
    """A convolution, a transposed one, a linear layer and a product with a plain parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.linear = nn.Linear(64, 10)
        self.matrix = nn.Parameter(torch.randn(10, 5))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.up(self.conv(x).relu()).relu().flatten(1)
        return self.linear(hidden) @ self.matrix


DATA = [
    "affine(8,symmetric=false,scale=0.037,zero=20)",
    "affine(8,scale=0.0625)",
    "e4m3fn",
    "float32",
    "power_of_two(5,bias=11)",
]
WEIGHTS = [
    *("affine(4)", "affine(4,per=channel)", "affine(5,symmetric=false,per=group32)", "e2m1"),
    *("affine(4,per=channel,axis=1)", "affine(4,per=channel,scales=power_of_two,axis=-1)"),
    *("mxfp4", "mxfp8(axis=1)", "block_fp(5,block=16)", "ternary(per=channel)", "binary", "log(4,bias=7)"),
]


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("data", DATA)
def test_onnx_runtime_gives_the_outputs_of_the_search(data: str, weight: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(20, 3, 2, 2)
    program = lower(trace(Several().eval(), x[:3]))
    chosen = LayerPlan(parse_format(data), parse_format(weight), parse_format("affine(8)"))
    layers = program.network.product_layers
    assert len(layers) == 4
    plan = Plan.of(dict.fromkeys(layers, chosen))
    expected = defined_outputs(program, plan, x).numpy()
    assert (expected != defined_outputs(program, Plan(), x).numpy()).any()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(to_onnx(program, plan).SerializeToString(), options)
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    # The runtime adds in another order; a value next to a tie may become the next step.
    is_close = np.isclose(found, expected, rtol=1e-4, atol=1e-4)
    assert is_close.mean() > 0.97
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
