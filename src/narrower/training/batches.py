"""In which order samples are trained on: the same for whoever trains with the same seed."""

from collections.abc import Iterator

import torch
from torch import Tensor

from narrower.data.parts import Part


class Batches:
    """Batches straight from memory: a new seeded order for each epoch, or the given order without a seed."""

    def __init__(self, part: Part, batch_size: int, seed: int | None) -> None:
        self._part, self._batch_size = part, batch_size
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        full, rest = divmod(len(self._part), self._batch_size)
        # Batch norm cannot train on a last batch of one sample.
        left_out = rest == 0 or (rest == 1 and full > 0 and self._generator is not None)
        return full if left_out else full + 1

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(self._part)
        order = (
            torch.arange(count)
            if self._generator is None
            else torch.randperm(count, generator=self._generator)
        )
        for batch in torch.split(order, self._batch_size)[: len(self)]:
            yield self._part.inputs[batch], self._part.targets[batch]
