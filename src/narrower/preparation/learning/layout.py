"""Where the numbers of each layer lie in the flat vectors of several candidates."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod

import torch
from torch import Tensor

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Layout:
    """Candidates [C] of equal sizes: inputs, then the outputs of each linear layer.

    A vector over coefficients holds [C, I + 1, O] for each layer, one layer after the other: the weights,
    and in the last row the biases, which multiply a one. A vector over data holds [C, I] of what each layer
    reads; a vector over nodes holds the data, then the [C, O] outputs of the last layer, then the one.
    """

    candidates: int
    sizes: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Number of linear layers."""
        return len(self.sizes) - 1

    @cached_property
    def coefficient_shapes(self) -> Shapes:
        return tuple((self.candidates, inputs + 1, outputs) for inputs, outputs in pairwise(self.sizes))

    @cached_property
    def data_shapes(self) -> Shapes:
        return tuple((self.candidates, inputs) for inputs in self.sizes[:-1])

    @cached_property
    def coefficient_count(self) -> int:
        return sum(map(prod, self.coefficient_shapes))

    @cached_property
    def data_count(self) -> int:
        return sum(map(prod, self.data_shapes))

    @cached_property
    def node_count(self) -> int:
        return self.data_count + self.candidates * self.sizes[-1] + 1

    def coefficients(self, vector: Tensor) -> list[Tensor]:
        """Views [C, I + 1, O] of a vector over coefficients."""
        return views(vector, self.coefficient_shapes)

    def data(self, vector: Tensor) -> list[Tensor]:
        """Views [C, I] of a vector over data, or over nodes."""
        return views(vector, self.data_shapes)

    @cached_property
    def read_nodes(self) -> Tensor:
        """For each coefficient, the node that it multiplies."""
        rows = []
        entries = self.data(torch.arange(self.data_count))
        for entry_ci, shape in zip(entries, self.coefficient_shapes, strict=True):
            row = torch.full(shape, self.node_count - 1)
            row[:, :-1] = entry_ci[:, :, None]
            rows.append(row.flatten())
        return torch.cat(rows)

    @cached_property
    def written_nodes(self) -> Tensor:
        """For each coefficient, the node that it adds to."""
        after_inputs = torch.arange(self.node_count)[self.candidates * self.sizes[0] :]
        shapes = [(self.candidates, outputs) for outputs in self.sizes[1:]]
        columns = [
            entry_co[:, None, :].expand(shape).flatten()
            for entry_co, shape in zip(views(after_inputs, shapes), self.coefficient_shapes, strict=True)
        ]
        return torch.cat(columns)

    @cached_property
    def bias_mask(self) -> Tensor:
        """Whether each coefficient is a bias."""
        return self.read_nodes == self.node_count - 1

    @cached_property
    def candidate_of_data(self) -> Tensor:
        """Which candidate each entry of a vector over data belongs to."""
        return torch.cat(
            [torch.arange(self.candidates)[:, None].expand(shape).flatten() for shape in self.data_shapes]
        )


def views(vector: Tensor, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """The beginning of a vector in pieces of these shapes, sharing its memory."""
    pieces = []
    start = 0
    for shape in shapes:
        stop = start + prod(shape)
        pieces.append(vector[start:stop].view(*shape))
        start = stop
    return pieces
