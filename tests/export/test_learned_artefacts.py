"""Learned networks as every kind of artefact: each runs, and gives the outputs that were scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from narrower.data.parts import DataSet, Part
from narrower.errors import ExportError
from narrower.export.deliver import export_plan
from narrower.export.execute import onnx_session, run_qonnx
from narrower.export.formats.fixed_each import FixedEachExpression, on_one_grid, quantized_each
from narrower.export.onnx_builder import OnnxBuilder
from narrower.export.onnx_model import OPSETS, to_onnx
from narrower.export.subject import Subject, Wishes
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed_each import FixedEach
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.freeze import fit_widths
from narrower.preparation.learning.plan_form import as_model, plan_of
from narrower.transform.quantizers.quantize import quantize
from tests.preparation.learning.test_deployed import random_chain, samples

CHAIN_SIZES = (6, 7, 5, 3)


def subject(seed: int, *, wrap: bool = False) -> Subject:
    inputs = torch.from_numpy(samples(seed, 1200, CHAIN_SIZES[0]))
    chain = fit_widths(random_chain(seed, CHAIN_SIZES, sparsity=0.4), inputs[:300].numpy())
    if wrap:
        first, *others = chain.layers
        chain = LearnedChain((first, *(replace(layer, data_wrap=True) for layer in others)))
    model, names = as_model(chain)
    part = Part(inputs, torch.arange(1200) % 3)
    data = DataSet(
        "numbers", part.first(600), part.between(600, 900), part.between(900, 1200), ("a", "b", "c")
    )
    return Subject(model, "learned", plan_of(chain, names), data, 0)


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed > 0)) for seed in range(3)]
)
@pytest.mark.parametrize("kind", ["onnx", "qonnx", "safetensors", "verilog", "c"])
def test_every_element_is_what_was_scored(kind: str, seed: int, tmp_path: Path) -> None:
    if kind in ("qonnx", "verilog"):
        pytest.importorskip({"qonnx": "qonnx", "verilog": "da4ml"}[kind])
    manifest = export_plan(subject(seed), kind, tmp_path, Wishes(samples=1000))
    assert manifest.mode == "exact"
    assert manifest.passed
    assert all(check.differing_elements == 0 for check in manifest.checks)


def test_data_that_wrap_do_so_in_onnx_and_are_refused_by_quant_nodes(tmp_path: Path) -> None:
    assert export_plan(subject(1, wrap=True), "onnx", tmp_path, Wishes(samples=1000)).passed
    with pytest.raises(ExportError, match="values wrap"):
        export_plan(subject(1, wrap=True), "qonnx", tmp_path, Wishes(samples=1000))


def formats() -> list[FixedEach]:
    chance = np.random.default_rng(0)
    widths, fracs = chance.integers(0, 6, 8), chance.integers(-2, 6, 8)
    mixed = chance.integers(0, 2, 8)
    every = [mixed, np.zeros(8), np.ones(8)]
    return [
        FixedEach(*(np.array(a, np.int8) for a in (widths, fracs, signs * (widths > 0))), overflow=overflow)
        for signs in every
        for overflow in ("saturate", "symmetric", "wrap")
    ] + [FixedEach(*(np.full(8, value, np.int8) for value in (5, 2, 1)))]


def numbers() -> torch.Tensor:
    """Ties, both sides of them, ends of ranges and what lies far outside, for each entry."""
    ties = torch.arange(-140, 140) / 64
    wild = torch.randn(200, generator=torch.Generator().manual_seed(0)) * 30
    column = torch.cat(
        [ties, torch.nextafter(ties, torch.tensor(9e9)), torch.nextafter(ties, -torch.tensor(9e9)), wild]
    )
    return column[:, None].expand(-1, 8).contiguous()


@pytest.mark.parametrize("number_format", formats(), ids=lambda f: f"{f.overflow}-{f.digest[:4]}")
def test_onnx_rounds_each_entry_as_the_format_does(number_format: FixedEach) -> None:
    builder, x = OnnxBuilder(), numbers()
    rounded = FixedEachExpression().onnx(builder, "x", number_format)
    opsets, version = OPSETS["onnx"]
    model = builder.finish(
        "rounds", [("x", TensorProto.FLOAT, ["batch", 8])], [(rounded, "y", ["batch", 8])], opsets, version
    )
    (found,) = onnx_session(model.SerializeToString()).run(None, {"x": x.numpy()})
    assert np.array_equal(found, quantize(x, number_format).numpy())


@pytest.mark.parametrize(
    "number_format",
    [f for f in formats() if f.overflow != "wrap"],
    ids=lambda f: f"{f.overflow}-{f.digest[:4]}",
)
def test_a_quant_node_rounds_each_entry_as_the_format_does(number_format: FixedEach, tmp_path: Path) -> None:
    pytest.importorskip("qonnx")
    # half a step is added in float32, so that only numbers with bits to spare are rounded as they are
    builder, x = OnnxBuilder(), (numbers() * 256).round() / 256
    rounded = quantized_each(builder, "x", number_format)
    opsets, version = OPSETS["qonnx"]
    model = builder.finish(
        "rounds", [("x", TensorProto.FLOAT, [1, 8])], [(rounded, "y", [1, 8])], opsets, version
    )
    onnx.save(model, tmp_path / "rounds.onnx")
    found = run_qonnx(tmp_path / "rounds.onnx", x)
    assert np.array_equal(found, quantize(x, number_format).numpy())


def test_quant_nodes_have_one_step_and_products_read_them_alone() -> None:
    """As hls4ml needs it: factors of entries before a product it takes behind it, on another axis."""
    about = subject(0)
    program = lower(trace(about.model, about.data.train.inputs[:2], "learned"))
    graph = to_onnx(program, about.plan, dialect="qonnx", batch_size=1).graph
    sizes = {each.name: numpy_helper.to_array(each).size for each in graph.initializer}
    quants = {node.output[0]: node for node in graph.node if node.op_type == "Quant"}
    assert all(sizes[node.input[1]] == sizes[node.input[3]] == 1 for node in quants.values())
    products = [node for node in graph.node if node.op_type in ("MatMul", "Gemm")]
    assert len(products) == len(CHAIN_SIZES) - 1
    assert all(node.input[0] in quants for node in products)


def test_weights_with_steps_of_their_own_have_one_format_that_holds_them() -> None:
    chain = random_chain(0, CHAIN_SIZES)
    model, names = as_model(chain)
    plan = plan_of(chain, names)
    for name in names:
        weight = model.get_parameter(f"{name}.weight").detach()
        held, number_format = on_one_grid(weight, plan.layer(name).weight)
        assert torch.equal(held, weight)
        assert torch.equal(quantize(weight, number_format), weight)
        assert number_format.grid is not None
        assert number_format.bits <= 10  # four bits and fractions of up to five, and a sign
