"""What the training of a learned program goes on from after it was killed: its state, and its members."""

import time
from collections.abc import Iterator
from pathlib import Path

from narrower.errors import CheckpointError, NarrowerError
from narrower.models.stored_formats import format_tensors, formats_of, without_formats
from narrower.plan.plan import plan_from_dict, plan_to_dict
from narrower.preparation.learning.members import Member
from narrower.preparation.learning.programs.freeze import Frozen
from narrower.preparation.learning.programs.training import FrozenMember, ProgramTraining, Saved
from narrower.preparation.learning.training_file import TrainingFiles

EVERY_SECONDS = 10.0  # of clock time between two states


class ProgramFiles:
    """The files of one training in a directory: its state every ``EVERY_SECONDS``, each member once.

    ``told`` is what the training follows from; files of another training are refused.
    """

    def __init__(self, directory: Path, told: object) -> None:
        self._directory, self._state = directory, directory / "training.safetensors"
        self._files = TrainingFiles(told)
        self._saved = time.monotonic()

    def save(self, training: ProgramTraining, before: Saved | None = None) -> None:
        """Write the state if the time has come or the training has ended, after calling ``before``."""
        has_ended = training.epoch == training.settings.epochs
        if time.monotonic() - self._saved < EVERY_SECONDS and not has_ended:
            return
        if before is not None:
            before(training)
        for member in training.members:
            if not self._member(member.number).is_file():
                frozen = member.network
                facts = {"plan": plan_to_dict(frozen.plan)}
                self._files.write(
                    self._member(member.number), {**frozen.state, **format_tensors(frozen.plan)}, facts
                )
        rows = [(m.cost, m.quality, m.epoch, m.candidate, m.number) for m in training.members]
        self._files.write(
            self._state,
            training.state,
            {
                "epoch": training.epoch,
                "found": training.found,
                "cost_factor": training.cost_factor.state,
                "members": rows,
            },
        )
        kept = {self._member(member.number) for member in training.members}
        for path in self._directory.glob("member-*.safetensors"):
            if path not in kept:
                path.unlink()
        self._saved = time.monotonic()

    def restore(self, training: ProgramTraining) -> None:
        """Bring a training that has not begun to where the files left it, if there are any.

        Raises:
            CheckpointError: a file is damaged, or of another training.
        """
        if not self._state.is_file():
            for path in self._directory.glob("member-*.safetensors"):  # of before the first state
                path.unlink()
            return
        tensors, facts = self._files.read(self._state)
        try:
            members = list(self._members(facts["members"]))
            training.restore(facts["epoch"], facts["found"], tensors, members)
            training.cost_factor.restore(facts["cost_factor"])
        except (KeyError, TypeError, ValueError, RuntimeError, NarrowerError) as error:
            raise CheckpointError(f"{self._state}: damaged: {error}") from error

    def _members(self, rows: list[tuple[float, float, int, int, int]]) -> Iterator[FrozenMember]:
        for row in rows:
            tensors, facts = self._files.read(self._member(row[-1]))
            plan = plan_from_dict(facts["plan"], formats_of(tensors))
            yield Member(Frozen(plan, without_formats(tensors)), *row)

    def _member(self, number: int) -> Path:
        return self._directory / f"member-{number}.safetensors"
