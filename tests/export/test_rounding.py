"""QDQ pairs and Quant nodes round like the formats they stand for."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from narrower.errors import ExportError
from narrower.export.execute import run_qonnx
from narrower.export.integers import product_fraction
from narrower.export.onnx_builder import OnnxBuilder
from narrower.export.qdq_rounding import QdqRounding
from narrower.export.quant_rounding import QONNX_DOMAIN, QuantRounding
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import LayerPlan

# Values by hand: (format, input, output).
KNOWN = [
    (FixedPoint(8, 4), 0.03125, 0.0),
    (FixedPoint(8, 4), 0.09375, 0.125),
    (FixedPoint(8, 4), -0.09375, -0.125),
    (FixedPoint(8, 4), 100.0, 7.9375),
    (FixedPoint(8, 4), -100.0, -8.0),
    (FixedPoint(4, 2), 0.375, 0.5),
    (FixedPoint(4, 2), 2.0, 1.75),
    (FixedPoint(4, 2), -100.0, -2.0),
    (FixedPoint(2, 1), 0.375, 0.5),
    (FixedPoint(2, 1), -0.75, -1.0),
    (FixedPoint(4, -1), 100.0, 14.0),
    (FixedPoint(4, 6), 0.125, 0.109375),
    (FixedPoint(4, 2, signed=False), -1.0, 0.0),
    (FixedPoint(4, 2, signed=False), 3.9, 3.75),
    (FixedPoint(8, 4, signed=False), 100.0, 15.9375),
    (FixedPoint(12, 8), 9.0, 7.99609375),
    (FixedPoint(16, 8), 1000.0, 127.99609375),
    (FixedPoint(20, 10), 0.00048828125, 0.0),
    (FixedPoint(20, 10), 600.0, 511.9990234375),
]


@pytest.mark.parametrize(("number_format", "value", "expected"), KNOWN)
def test_qdq_in_onnx_runtime_gives_the_values_of_the_format(
    number_format: FixedPoint, value: float, expected: float
) -> None:
    builder = OnnxBuilder()
    output = QdqRounding(builder).data("x", number_format)
    model = builder.finish("one", [("x", TensorProto.FLOAT, [1])], [(output, "y", [1])], [("", 21)], 10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.float32([value])})[0][0] == expected


def test_quant_nodes_give_the_values_of_the_format(tmp_path: Path) -> None:
    pytest.importorskip("qonnx")
    for index, (number_format, value, expected) in enumerate(KNOWN):
        builder = OnnxBuilder()
        output = QuantRounding(builder).data("x", number_format)
        model = builder.finish(
            "one",
            [("x", TensorProto.FLOAT, [1, 1])],
            [(output, "y", [1, 1])],
            [("", 17), (QONNX_DOMAIN, 2)],
            8,
        )
        path = tmp_path / f"{index}.onnx"
        path.write_bytes(model.SerializeToString())
        assert run_qonnx(path, torch.tensor([[value]]))[0, 0] == expected, (number_format, value)


@pytest.mark.parametrize(
    ("width", "packing", "is_matrix", "data_type"),
    [
        (8, "speed", True, TensorProto.INT8),
        (3, "speed", True, TensorProto.INT8),
        (3, "speed", False, TensorProto.INT4),
        (4, "size", True, TensorProto.INT4),
        (9, "size", True, TensorProto.INT16),
        (17, "size", True, TensorProto.FLOAT),
    ],
)
def test_weights_lie_in_the_narrowest_container_that_has_a_kernel(
    width: int, packing: str, is_matrix: bool, data_type: int
) -> None:
    builder = OnnxBuilder()
    rounding = QdqRounding(builder, packing)  # type: ignore[arg-type]
    output = rounding.weight(
        torch.tensor([[0.5, -0.25]]),
        FixedPoint(width, 2),
        kernel="integer" if is_matrix else "any",
        label="w",
    )
    model = builder.finish("one", [], [(output, "y", [1, 2])], [("", 21)], 10)
    (held,) = (t for t in model.graph.initializer if t.name.startswith("w"))
    assert held.data_type == data_type
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {})[0].tolist() == [[0.5, -0.25]]


def test_one_signed_bit_is_refused_by_qonnx() -> None:
    """There it means -1 or 1, here -1 or 0."""
    with pytest.raises(ExportError, match=r"fixed\(1,frac=0\)"):
        QuantRounding(OnnxBuilder()).data("x", FixedPoint(1, 0))


def test_a_bias_finer_than_the_products_is_not_moved_to_their_grid() -> None:
    # ONNX Runtime would round 0.40625 to a multiple of 1/4 if it were added to this product.
    layer = LayerPlan(FixedPoint(4, 1), FixedPoint(4, 1), FixedPoint(8, 5))
    builder = OnnxBuilder()
    rounding = QdqRounding(builder)
    weight = rounding.weight(torch.eye(2), layer.weight, kernel="integer", label="w")
    product = builder.emit("MatMul", rounding.data("x", layer.data), weight)
    output = rounding.add_bias(product, torch.tensor([0.40625, -0.03125]), layer, "b")
    model = builder.finish(
        "one", [("x", TensorProto.FLOAT, ["n", 2])], [(output, "y", ["n", 2])], [("", 21)], 10
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.float32([[1.5, -2.0]])})[0].tolist() == [[1.90625, -2.03125]]


def test_products_lie_on_the_sum_of_the_fractions() -> None:
    assert product_fraction(LayerPlan(FixedPoint(8, 4), FixedPoint(4, 2))) == 6
    assert product_fraction(LayerPlan(FixedPoint(8, 4), FLOAT32)) is None
