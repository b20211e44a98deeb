"""The best epoch of one training, or of each of several, by the loss on samples that choose."""

from typing import Any

import torch
from torch import Tensor


class Best:
    """``candidates`` is None for one model; ``patience`` 0: nothing is chosen."""

    def __init__(self, patience: int, candidates: int | None) -> None:
        self._patience, self._is_stacked = patience, candidates is not None
        self._epochs = torch.zeros(candidates or 1, dtype=torch.int64)
        self._losses = torch.full((candidates or 1,), float("inf"), dtype=torch.float64)
        self.state: dict[str, Tensor] | None = None

    def ended(self, epochs: int) -> bool:
        """Whether the loss of no candidate has fallen for as many epochs as is waited for."""
        return self._patience > 0 and bool(((epochs - self._epochs) >= self._patience).all())

    def see(self, epochs: int, losses: Tensor, state: dict[str, Tensor]) -> None:
        """The losses [C] after as many epochs; a candidate that has waited long enough is not looked at."""
        waits = epochs - 1 - self._epochs < self._patience
        better = waits & (losses < self._losses)
        self._epochs[better], self._losses[better] = epochs, losses[better]
        if self.state is None:
            self.state = state
        elif not self._is_stacked:
            self.state = state if bool(better) else self.state
        else:
            for name, held in self.state.items():
                held[better] = state[name][better]

    def to_dict(self) -> dict[str, Any]:
        """Everything, to go on with."""
        return {"epochs": self._epochs, "losses": self._losses, "state": self.state}

    def go_on_from(self, held: dict[str, Any]) -> None:
        """Take up what ``to_dict`` gave."""
        self._epochs, self._losses, self.state = held["epochs"], held["losses"], held["state"]
