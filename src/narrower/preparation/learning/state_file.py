"""What a training goes on from after it was killed: one safetensors file, replaced as a whole."""

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from narrower.errors import CheckpointError
from narrower.preparation.learning.chain_file import arrays_of, chain_of_arrays
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.members import Member
from narrower.preparation.learning.training import Saved, Training
from narrower.preparation.learning.training_file import TrainingFiles

EVERY_SECONDS = 10.0  # of clock time between two files
STATE, MEMBER = "state.", "member."
TARGETS = "targets"


class StateFiles:
    """The files of one training in a directory: its targets once, its state every ``EVERY_SECONDS``.

    ``told`` is what the training follows from; a state of another training is refused.
    """

    def __init__(self, directory: Path, told: object) -> None:
        self._state, self._targets = directory / "training.safetensors", directory / "targets.safetensors"
        self._files = TrainingFiles(told)
        self._saved = time.monotonic()

    def save(self, training: Training, before: Saved | None = None) -> None:
        """Write the state if the time has come or the training has ended, after calling ``before``."""
        has_ended = training.epoch == training.settings.epochs
        if time.monotonic() - self._saved < EVERY_SECONDS and not has_ended:
            return
        if before is not None:
            before(training)
        facts = {
            "epoch": training.epoch,
            "found": training.found,
            "is_cut": training.is_cut,
            "cost_factor": training.cost_factor.state,
            "train_seconds": training.train_seconds,
            "score_seconds": training.score_seconds,
            "cut_seconds": training.cut_seconds,
            "members": [(m.cost, m.quality, m.epoch, m.candidate, m.number) for m in training.members],
        }
        tensors = {f"{STATE}{name}": tensor for name, tensor in training.state.items()}
        for number, member in enumerate(training.members):
            for name, array in arrays_of(member.network).items():
                tensors[f"{MEMBER}{number}.{name}"] = torch.from_numpy(array)
        self._files.write(self._state, tensors, facts)
        self._saved = time.monotonic()

    def restore(self, training: Training) -> None:
        """Bring a training that has not begun to where the file left it, if there is one.

        Raises:
            CheckpointError: the file is damaged, or of another training.
        """
        if not self._state.is_file():
            return
        tensors, facts = self._files.read(self._state)
        try:
            members = list(self._members(tensors, facts["members"]))
            state = {name.removeprefix(STATE): tensors[name] for name in tensors if name.startswith(STATE)}
            training.restore(facts["epoch"], facts["found"], state, members)
            training.cost_factor.restore(facts["cost_factor"])
            training.is_cut, training.cut_seconds = facts["is_cut"], facts["cut_seconds"]
            training.train_seconds, training.score_seconds = facts["train_seconds"], facts["score_seconds"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{self._state}: damaged: {error}") from error

    def _members(
        self, tensors: dict[str, Tensor], rows: list[tuple[int, int, int, int, int]]
    ) -> Iterator[Member[LearnedChain]]:
        for number, row in enumerate(rows):
            start = f"{MEMBER}{number}."
            arrays = {n.removeprefix(start): t.numpy() for n, t in tensors.items() if n.startswith(start)}
            yield Member(chain_of_arrays(arrays, self._state), *row)

    def save_targets(self, targets_no: Tensor, seconds: float) -> None:
        """Write what the training samples are to give, and the seconds that it took to find that out."""
        self._files.write(self._targets, {TARGETS: targets_no}, {"seconds": seconds})

    def targets(self) -> tuple[Tensor, float] | None:
        """What ``save_targets`` wrote; None where it has not been written.

        Raises:
            CheckpointError: the file is damaged, or of another training.
        """
        if not self._targets.is_file():
            return None
        tensors, facts = self._files.read(self._targets)
        try:
            return tensors[TARGETS], float(facts["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{self._targets}: damaged: {error}") from error
