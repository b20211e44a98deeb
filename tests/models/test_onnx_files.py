"""Models from ONNX files compute what ONNX Runtime computes of the file; what has no rule is named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from narrower.errors import ModelError
from narrower.export.onnx_model import to_onnx
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from tests import transformer_zoo, width_zoo

MODELS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    **{name: (lambda name=name: width_zoo.build(name)) for name in ("depthwise", "unet", "gated")},
    "vit": lambda: (transformer_zoo.ViT().eval(), torch.randn(3, 3, 16, 16)),
}


def by_onnxruntime(path: Path, x: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return torch.from_numpy(found)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_exported_is_read_back_with_equal_outputs(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = MODELS[name]()
    program = lower(trace(model, x))
    path = tmp_path / "model.onnx"
    onnx.save(to_onnx(program, Plan()), path)
    read = build_model(str(path)).eval()
    with torch.no_grad():
        torch.testing.assert_close(read(x), by_onnxruntime(path, x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(read(x), model(x), rtol=1e-4, atol=1e-5)
    again = trace(read, x).network
    assert len(again.product_layers) >= len(program.network.product_layers)
    sizes = {parameter.numel for parameter in program.network.parameters if len(parameter.shape) > 1}
    assert sizes & {parameter.numel for parameter in again.parameters}


def test_a_plan_that_was_exported_computes_the_same_when_it_is_read(tmp_path: Path) -> None:
    model, x = width_zoo.build("depthwise")
    program = lower(trace(model, x))
    chosen = LayerPlan(FixedPoint(6, 3), FixedPoint(5, 3), FixedPoint(8, 5))
    plan = Plan(tuple((layer, chosen) for layer in program.network.product_layers))
    path = tmp_path / "plan.onnx"
    onnx.save(to_onnx(program, plan), path)
    read = build_model(str(path)).eval()
    with torch.no_grad():
        torch.testing.assert_close(read(x), by_onnxruntime(path, x), rtol=1e-4, atol=1e-5)


def own_file(
    path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], opset: int = 17
) -> str:
    graph = helper.make_graph(
        nodes,
        "own",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "m"])],
        [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)
    return str(path)


def test_shapes_that_a_file_computes_leave_the_number_of_samples_open(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n", "axes"], ["n1"]),
        node("Concat", ["n1", "rest"], ["sizes"], axis=0),
        node("Transpose", ["x"], ["turned"], perm=[0, 2, 1]),
        node("Reshape", ["turned", "sizes"], ["flat"]),
        node("MatMul", ["flat", "w"], ["product"], name="first layer"),
        node("Add", ["b", "product"], ["sum"]),
        node("LeakyRelu", ["sum"], ["leaky"], alpha=0.2),
        node("Gemm", ["leaky", "v"], ["scores"], transB=1),
        node("Slice", ["scores", "from", "to", "axes1"], ["some"]),
        node("Softmax", ["some"], ["y"], axis=1),
    ]
    file = own_file(
        tmp_path / "own.onnx",
        nodes,
        {
            "zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1]),
            "w": chance.normal(size=(24, 5)).astype(np.float32),
            "b": chance.normal(size=5).astype(np.float32),
            "v": chance.normal(size=(3, 5)).astype(np.float32),
            "from": np.array([0]), "to": np.array([2]), "axes1": np.array([1]),
        },
    )  # fmt: skip
    model = build_model(file).eval()
    for count in (2, 5):
        x = torch.randn(count, 4, 6)
        torch.testing.assert_close(model(x), by_onnxruntime(Path(file), x))
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert {name: (m.in_features, m.out_features, m.bias is not None) for name, m in layers.items()} == {
        "layers.first_layer": (24, 5, True), "layers.scores": (5, 3, False)
    }  # fmt: skip
    network = trace(model, torch.randn(3, 4, 6)).network
    assert set(network.product_layers) == {"layers.first_layer", "layers.scores"}


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    unknown = own_file(tmp_path / "unknown.onnx", [helper.make_node("Det", ["x"], ["y"])], {})
    old = own_file(tmp_path / "old.onnx", [helper.make_node("Relu", ["x"], ["y"])], {}, opset=11)
    (tmp_path / "damaged.onnx").write_bytes(b"\x08\x07 nothing")
    for file, said in (
        (unknown, "operator Det has no rule; read are Abs, "),
        (old, "operators are those of set 11; from 13"),
        (str(tmp_path / "damaged.onnx"), "not a whole ONNX file"),
        (str(tmp_path / "absent.onnx"), "no such file"),
    ):
        with pytest.raises(ModelError, match=said):
            build_model(file)
