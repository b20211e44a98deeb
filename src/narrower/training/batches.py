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
        self._before = torch.empty(0) if self._generator is None else self._generator.get_state()
        self._done = 0  # batches of the epoch that has begun

    def __len__(self) -> int:
        full, rest = divmod(len(self._part), self._batch_size)
        # Batch norm cannot train on a last batch of one sample.
        left_out = rest == 0 or (rest == 1 and full > 0 and self._generator is not None)
        return full if left_out else full + 1

    def indices(self) -> Iterator[Tensor]:
        """The numbers of the samples of each batch, for one epoch, or for what is left of one."""
        count = len(self._part)
        if self._generator is None:
            yield from torch.split(torch.arange(count), self._batch_size)
            return
        if self.is_between_epochs:
            self._done = 0
        else:
            self._generator.set_state(self._before)
        self._before = self._generator.get_state()
        order = torch.randperm(count, generator=self._generator)
        for batch in torch.split(order, self._batch_size)[self._done : len(self)]:
            self._done += 1
            yield batch

    @property
    def is_between_epochs(self) -> bool:
        """Whether no epoch has begun that did not end."""
        return self._done in (0, len(self))

    def __iter__(self) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        for batch in self.indices():
            yield self._part.at(batch).arguments, self._part.targets[batch]

    def state(self) -> tuple[Tensor, int]:
        """From where the order of the next batches comes."""
        assert self._generator is not None
        if self.is_between_epochs:
            return self._generator.get_state(), 0
        return self._before, self._done

    def go_on_from(self, state: Tensor, done: int) -> None:
        """Take up what ``state`` gave."""
        assert self._generator is not None
        self._generator.set_state(state)
        self._before, self._done = state, done
