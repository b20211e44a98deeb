"""hls4ml compiles the QONNX that is exported, and computes the same.

Our batch norms are float32, hls4ml's are fixed point: with 32 bits of fraction the rounded values between the
layers are equal, and the outputs differ by float32's own rounding.
"""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor

from narrower.data.datasets import load_data_set
from narrower.export.onnx_model import to_onnx
from narrower.export.own_outputs import own_outputs
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan

SAMPLES = 1000


def needs_hls4ml() -> None:
    pytest.importorskip("hls4ml", reason="needs hls4ml")
    if shutil.which("g++") is None:
        pytest.skip("needs g++")


def of_hls4ml(model: ModelProto, inputs: Tensor, directory: Path) -> NDArray[np.float32]:
    """What the compiled project gives for some samples."""
    import hls4ml
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul
    from qonnx.util.cleanup import cleanup_model

    path = directory / "model.onnx"
    onnx.save(model, path)
    wrapped = cleanup_model(cleanup_model(ModelWrapper(str(path))).transform(GemmToMatMul()))
    config = hls4ml.utils.config.config_from_onnx_model(
        wrapped, granularity="name", backend="Vitis", default_precision="fixed<64,32>"
    )
    built = hls4ml.converters.convert_from_onnx_model(
        wrapped, output_dir=str(directory / "hls"), io_type="io_parallel", backend="Vitis", hls_config=config
    )
    built.compile()
    found: NDArray[np.float32] = built.predict(np.ascontiguousarray(inputs.numpy()))
    return found.reshape(len(inputs), -1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # hls4ml's own
def test_hls4ml_computes_what_was_scored(tmp_path: Path) -> None:
    needs_hls4ml()
    inputs = load_data_set("jets").test.inputs[:SAMPLES]
    torch.manual_seed(0)
    model = build_model("jsc-toy").train()
    with torch.no_grad():
        for _ in range(30):
            model(inputs)
    program = lower(trace(model.eval(), inputs[:3], "jsc-toy"))
    eight, four = FixedPoint(8, 4), FixedPoint(4, 2)
    plan = Plan.of(
        {
            "seq_blocks.2": LayerPlan(eight, four, eight),
            "seq_blocks.5": LayerPlan(eight, eight, four),
            "seq_blocks.8": LayerPlan(eight, four, four),
        }
    )
    theirs = of_hls4ml(to_onnx(program, plan, dialect="qonnx", batch_size=1), inputs, tmp_path)
    ours = own_outputs(program, plan, inputs)
    assert np.ptp(ours, axis=0).min() > 0  # the outputs say something
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5)
    # where two outputs are equal to float32's last bit, either may be the largest
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1)).mean() > 0.995
