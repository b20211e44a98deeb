"""Models whose products PyTorch hides in larger operators."""

import torch
from torch import Tensor, nn


class Transposed(nn.Module):
    """Linear layers with the weight [inputs, outputs], as ``addmm`` computes them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 9))
        self.bias = nn.Parameter(torch.randn(9))
        self.head = nn.Linear(9, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(torch.addmm(self.bias, x, self.weight)))


class ScaledSums(nn.Module):
    """Products of activations that are scaled and added to others, with a bias for each position."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(1, 4, 4))
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.baddbmm(self.bias, x, x.transpose(1, 2), beta=0.5, alpha=0.25)
        mixed = torch.baddbmm(x, scores.softmax(-1), x, beta=0)
        return self.head(torch.bmm(scores, mixed).mean(1))


class Einsums(nn.Module):
    """Attention and a linear layer in letters, a product of three operands, and one without a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Parameter(torch.randn(6, 2, 3))
        self.head = nn.Parameter(torch.randn(6, 5))
        self.first, self.second = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.randn(4, 6))

    def forward(self, x: Tensor) -> Tensor:
        heads = torch.einsum("btc,chd->bhtd", x, self.project)
        scores = torch.einsum("bhtd,bhsd->bhts", heads, heads).softmax(-1)
        mixed = torch.einsum("bhts,bhsd->bthd", scores, heads).flatten(2)
        low = torch.einsum("btc,cr,rd->btd", x, self.first, self.second)
        gated = torch.einsum("btc,btc->btc", mixed, low)
        return torch.einsum("btc,co->bo", gated, self.head)


class Cells(nn.Module):
    """Recurrent cells, one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru, self.rnn = nn.LSTMCell(6, 4), nn.GRUCell(4, 7), nn.RNNCell(7, 3)
        self.head = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = self.lstm(x)
        return self.head(self.rnn(self.gru(hidden)))


class Contracted(nn.Module):
    """The other ways to write a product."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6, 5))
        self.left, self.head = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(5, 3))

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.matmul(self.left, x)  # a weight that comes first
        inner = torch.linalg.vecdot(mixed, mixed)
        joined = torch.tensordot(x, self.weight, dims=2)
        return joined + torch.inner(inner, self.head)


class Bilinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, 3), nn.Linear(6, 4)
        self.both = nn.Bilinear(3, 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.both(self.left(x), self.right(x)).sum(1)


class Recurrent(nn.Module):
    """A recurrent layer and a linear one on its last step."""

    def __init__(self, layer: nn.Module, features: int) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(features, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


MODELS: dict[str, tuple[type[nn.Module], tuple[int, ...]]] = {
    "transposed": (Transposed, (6,)),
    "scaled_sums": (ScaledSums, (4, 6)),
    "einsums": (Einsums, (4, 6)),
    "cells": (Cells, (6,)),
    "contracted": (Contracted, (4, 6)),
    "bilinear": (Bilinear, (4, 6)),
}


def build(name: str) -> tuple[nn.Module, Tensor]:
    """A model in evaluation mode, and 40 samples for it."""
    make, shape = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return make().eval(), torch.randn(40, *shape)
