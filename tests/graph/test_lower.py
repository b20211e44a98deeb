"""The deployed form computes what the module computes, with batch norm as multiply and add."""

import pytest
import torch

from narrower.data.datasets import load_data_set
from narrower.data.sizes import Sizes
from narrower.evaluate.definition import defined_outputs
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.models.catalogue import MODELS
from narrower.plan.plan import Plan
from tests import zoo
from tests.conftest import with_statistics


@pytest.mark.parametrize("name", sorted(MODELS))
def test_shipped_models_give_the_modules_outputs(name: str) -> None:
    inputs = load_data_set(MODELS[name].data_set).train.inputs[:16]
    if name == "vgg7":
        inputs = inputs[..., 12:20, 12:20]
    model = with_statistics(build_model(name, sizes=Sizes(tuple(inputs.shape[1:]), 10)), inputs)
    lowered = lower(trace(model, inputs[:3], name))
    with torch.inference_mode():
        expected = model(inputs)
    # batch norm as multiply and add rounds differently in the last bits, layer after layer
    torch.testing.assert_close(defined_outputs(lowered, Plan(), inputs), expected, rtol=1e-5, atol=1e-5)
    targets = {str(node.target) for node in lowered.graph.nodes if node.op == "call_function"}
    assert not any("batch_norm" in target for target in targets)


@pytest.mark.parametrize("name", sorted(zoo.MODELS))
def test_zoo_models_give_the_modules_outputs(name: str) -> None:
    model, inputs = zoo.build(name)
    lowered = lower(trace(model, inputs[:3], name))
    with torch.inference_mode():
        expected = model(inputs)
    torch.testing.assert_close(defined_outputs(lowered, Plan(), inputs), expected, rtol=1e-5, atol=1e-5)


def test_lowering_leaves_the_program_alone() -> None:
    model, inputs = zoo.build("residual")
    program = trace(model, inputs[:3], "residual")
    before = str(program.graph)
    lower(program)
    assert str(program.graph) == before
