"""A callback of Lightning that hands a module over once its training has ended."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Generic, TypeVar

from lightning.pytorch.callbacks import Callback
from torch import nn

from narrower.graph.own_copy import own_copy

Found = TypeVar("Found")


class AfterFit(Callback, Generic[Found]):  # type: ignore[misc] # Lightning is not typed here
    """Gives what was trained to ``search``, a function, and keeps its ``result``.

    ``network`` is the path of the network inside the Lightning module, such as "model"; without it the
    module itself is given. The search gets a copy on the CPU in evaluation mode.
    """

    def __init__(self, search: Callable[[nn.Module], Found], network: str = "") -> None:
        self._search, self._network = search, network
        self.result: Found | None = None

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Search, in the main process alone."""
        if trainer.is_global_zero:
            trained = attrgetter(self._network)(pl_module) if self._network else pl_module
            self.result = self._search(own_copy(trained).cpu().eval())
