"""The shape and type of a value of a graph, where no tensor stands for it."""

from dataclasses import dataclass

import torch

from narrower.graph.network import Shape


@dataclass(frozen=True, slots=True)
class Value:
    """The shape and type of a tensor."""

    shape: Shape
    dtype: torch.dtype

    def dim(self) -> int:
        """How many dimensions it has."""
        return len(self.shape)
