"""The checkpoint that a training writes after its epochs, in Lightning's form, and what it needs to go on."""

import time
from contextlib import suppress
from functools import cached_property
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from narrower.errors import CheckpointError
from narrower.models.checkpoint_files import read_content
from narrower.store.files import write_bytes
from narrower.training.core import Core

BEST = "checkpoints/best.ckpt"
UNFINISHED = "checkpoints/unfinished.pt"  # taken away when the training ends
SECONDS = 0.5  # between two times of writing: what is lost at the most, beside an epoch
LIGHTNING = "2.5.0"  # whose form it is, where Lightning is not installed


class Saved:
    """The files of one training; ``identity`` says of which."""

    def __init__(self, directory: Path, identity: str) -> None:
        self._best, self._unfinished, self._identity = directory / BEST, directory / UNFINISHED, identity
        self._written, self._held = float("-inf"), None  # type: tuple[float, dict[str, Any] | None]

    @cached_property
    def _state(self) -> dict[str, Any] | None:
        if not self._unfinished.is_file() or not self._best.is_file():
            return None
        with suppress(CheckpointError):
            content = read_content(self._unfinished)
            if isinstance(content, dict) and content.get("identity") == self._identity:
                state: dict[str, Any] = content["state"]
                return state
        return None

    @property
    def can_go_on(self) -> bool:
        """Whether this very training began here, and did not end."""
        return self._state is not None

    def go_on(self, core: Core) -> None:
        """Take up the training where it stopped."""
        assert self._state is not None
        core.go_on_from(self._state)

    def epoch(self, core: Core) -> None:
        """After an epoch: write both files, if not just written."""
        with core.delivered():
            best = _lightning_form(core.model, core)
        self._held = {"state": own_copies(core.state()), "best": best}
        if time.monotonic() - self._written > SECONDS:
            self._write()

    def interrupted(self, core: Core) -> None:
        """Write what the last whole epoch left, where it was not written."""
        if self._held is not None and not core.ended:
            self._write()

    def write(self, model: nn.Module, core: Core) -> None:
        """The final weights."""
        write_checkpoint(self._best, _lightning_form(model, core))

    def forget(self) -> None:
        """There is nothing to go on with."""
        self._held = None
        self._unfinished.unlink(missing_ok=True)

    def _write(self) -> None:
        assert self._held is not None
        write_checkpoint(self._best, self._held["best"])
        write_checkpoint(self._unfinished, {"identity": self._identity, "state": self._held["state"]})
        self._written, self._held = time.monotonic(), None


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write what ``torch.save`` makes of it; PyTorch's own writing does not say why it fails.

    Raises:
        OutputError: it cannot be written.
    """
    buffer = BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def _lightning_form(model: nn.Module, core: Core) -> dict[str, Any]:
    try:
        version = metadata.version("lightning")
    except metadata.PackageNotFoundError:
        version = LIGHTNING
    return {
        "epoch": core.epochs - 1,
        "global_step": core.step,
        "pytorch-lightning_version": version,
        "state_dict": {
            f"model.{name}": tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()
        },
        "loops": {},
        "callbacks": {},
        "optimizer_states": [],
        "lr_schedulers": [],
    }


def own_copies(value: Any) -> Any:
    """A copy of its own of everything, which further steps do not change."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: own_copies(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [own_copies(held) for held in value]
    return value
