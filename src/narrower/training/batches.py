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

    def indices(self) -> Iterator[Tensor]:
        """The numbers of the samples of each batch, for one epoch."""
        count = len(self._part)
        order = (
            torch.arange(count)
            if self._generator is None
            else torch.randperm(count, generator=self._generator)
        )
        yield from torch.split(order, self._batch_size)[: len(self)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self.indices():
            yield self._part.inputs[batch], self._part.targets[batch]

    def state(self) -> Tensor:
        """From where the orders of further epochs come."""
        assert self._generator is not None
        return self._generator.get_state()

    def go_on_from(self, state: Tensor) -> None:
        """Take up what ``state`` gave."""
        assert self._generator is not None
        self._generator.set_state(state)
