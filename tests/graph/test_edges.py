"""Which tensors are edges, how they are called, and which must agree."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from narrower.graph.edges import Edges, edges_of
from narrower.graph.trace import trace
from tests.edge_zoo import Joined, Mobile, Residual, chain


def edges(model: nn.Module, *shape: int) -> Edges:
    return edges_of(trace(model.eval(), torch.randn(2, *shape)).network)


def names(found: Edges) -> list[str]:
    return [edge.name for edge in found.edges]


def test_a_chain_has_an_edge_for_its_input_and_for_each_product_with_its_relu() -> None:
    found = edges(chain(), 6)
    assert names(found) == ["input", "0", "2", "4"]
    assert [edge.has_no_sign for edge in found.edges] == [False, True, True, False]
    assert [edge.name for edge in found.edges if edge.is_output] == ["4"]


def test_an_addition_has_an_edge_of_its_own_and_its_inputs_agree() -> None:
    found = edges(Residual(), 3, 8, 8)
    assert names(found) == ["input", "first", "second", "third", "add", "pool", "fc"]
    assert set(found.groups) == {("input",), ("first", "third"), ("second",), ("add",), ("pool",), ("fc",)}
    signs = {edge.name: edge.has_no_sign for edge in found.edges}
    assert signs["first"]  # its ReLU ends it
    assert not signs["third"]  # what is added may be negative
    assert signs["add"]


def test_a_concatenation_agrees_with_what_it_joins_and_max_pooling_moves_its_numbers() -> None:
    found = edges(Joined(), 3, 8, 8)
    assert names(found) == ["input", "left", "right", "cat", "last", "fc"]
    assert ("left", "right", "cat") in found.groups
    pooled = next(value for value in found.behind if value.startswith("max_pool"))
    assert found.behind[pooled] == "cat"


def test_batch_norm_and_relu6_belong_to_the_convolution_before_them_folded_or_not() -> None:
    assert names(edges(Mobile(), 3, 8, 8)) == ["input", "first.0", "block.0", "block.3", "block.6", "add",
                                               "mean", "fc"]  # fmt: skip


class CalledTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        once: Tensor = self.layer(x)
        again: Tensor = self.layer(once)
        return again


def test_a_layer_that_is_called_again_writes_another_edge() -> None:
    assert names(edges(CalledTwice(), 4)) == ["input", "layer", "layer_1"]


class Reads(nn.Module):
    def __init__(self, read: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self._read = read

    def forward(self, x: Tensor) -> Tensor:
        return self._read(self.layer(x))


def test_a_relu_beside_other_readers_is_an_edge_of_its_own() -> None:
    assert names(edges(Reads(lambda y: y + torch.relu(y)), 4)) == ["input", "layer", "relu", "add"]


def test_padding_keeps_an_edge_only_with_zeros() -> None:
    pad = nn.functional.pad
    assert names(edges(Reads(lambda y: pad(y, (1, 1))), 4)) == ["input", "layer"]
    assert names(edges(Reads(lambda y: pad(y, (1, 1), value=0.3)), 4)) == [
        "input",
        "layer",
        "pad",
    ]


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.layer = nn.Linear(4, 3)

    def forward(self, words: Tensor) -> Tensor:
        scores: Tensor = self.layer(self.embedding(words).mean(1))
        return scores


def test_whole_numbers_are_no_edges() -> None:
    network = trace(Words().eval(), torch.zeros(2, 5, dtype=torch.long)).network
    assert names(edges_of(network)) == ["embedding", "mean", "layer"]
