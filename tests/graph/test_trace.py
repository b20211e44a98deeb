"""From a module to the frozen picture of it."""

import pytest
import torch
from torch import Tensor, nn

from narrower.errors import ModelError
from narrower.graph.trace import trace
from narrower.models.build import build_model
from tests import zoo


def test_the_network_of_jsc_toy() -> None:
    network = trace(build_model("jsc-toy"), torch.randn(3, 16), "jsc-toy").network
    assert list(network.product_layers) == ["seq_blocks.2", "seq_blocks.5", "seq_blocks.8"]
    (operator,) = network.product_layers["seq_blocks.5"]
    weight, bias = network.weight_of(operator), network.bias_of(operator)
    assert weight is not None
    assert bias is not None
    assert (weight.name, weight.shape) == ("seq_blocks.5.weight", (8, 8))
    assert (bias.name, bias.shape) == ("seq_blocks.5.bias", (8,))
    assert operator.kind == "linear"


def test_attention_has_products_of_activations() -> None:
    model, inputs = zoo.build("attention")
    network = trace(model, inputs[:3], "attention").network
    kinds = {layer: [o.kind for o in operators] for layer, operators in network.product_layers.items()}
    assert kinds["embed"] == ["linear"]
    weightless = [
        layer
        for layer, operators in network.product_layers.items()
        if not any(network.weight_of(operator) for operator in operators)
    ]
    assert weightless  # the scores and the mixing


def test_tracing_leaves_the_model_as_it_was() -> None:
    model = build_model("jsc-trt").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trace(model, torch.randn(3, 16), "jsc-trt")
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_model_that_cannot_be_exported_is_named_with_the_reason() -> None:
    with pytest.raises(ModelError, match="Branching cannot be traced"):
        trace(Branching(), torch.randn(3, 4), "branching")


def test_the_content_hash_sees_one_weight() -> None:
    model, inputs = zoo.build("shared")
    before = trace(model, inputs[:3], "shared").content_hash
    assert trace(model, inputs[:3], "another name").content_hash == before
    with torch.no_grad():
        model.shared.bias[0] += 1e-3
    assert trace(model, inputs[:3], "shared").content_hash != before
