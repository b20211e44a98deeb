"""Multiply-accumulates, against PyTorch's own counter."""

import pytest
import torch
from torch import nn

from narrower.cost.missing import missing
from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import load_data_set
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.models.catalogue import MODELS
from tests.flop_counter import counted_by_torch


@pytest.mark.parametrize("name", sorted(MODELS))
def test_macs_equal_those_of_the_flop_counter_on_every_shipped_model(name: str) -> None:
    data = load_data_set(MODELS[name].data_set)
    model, inputs = build_model(name, sizes=data.sizes).eval(), data.validation.inputs
    cost = NetworkCost(trace(model, inputs[:3], name).network)
    assert cost.macs == counted_by_torch(model, inputs[:1])
    assert missing(cost) == ()


def test_macs_of_a_transformer_encoder_layer() -> None:
    model = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval()
    inputs = torch.randn(3, 10, 32)
    cost = NetworkCost(trace(model, inputs, "encoder").network)
    # by hand: q, k, v and output projections, scores and mixing, two feed-forward products
    by_hand = 4 * 10 * 32 * 32 + 2 * 10 * 10 * 32 + 2 * 10 * 32 * 64
    assert cost.macs == by_hand == counted_by_torch(model, inputs[:1])


def test_macs_of_grouped_strided_and_transposed_convolutions() -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.Conv2d(4, 6, 1, dilation=1),
    ).eval()
    inputs = torch.randn(3, 4, 12, 12)
    cost = NetworkCost(trace(model, inputs, "convolutions").network)
    assert cost.macs == counted_by_torch(model, inputs[:1])
