"""Which plan that was trained earlier in a search is nearest to another, and what it was trained to."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from narrower.errors import RunError
from narrower.plan.plan import OPERANDS, UNCHANGED, Plan
from narrower.store.files import replacing


def distance(one: Plan, other: Plan) -> float:
    """The bits by which the operands of all layers differ; another format of as many bits counts as one."""
    ours, theirs = dict(one.layers), dict(other.layers)
    total = 0.0
    for name in ours.keys() | theirs.keys():
        for operand in OPERANDS:
            a, b = (getattr(layers.get(name, UNCHANGED), operand) for layers in (ours, theirs))
            total += max(abs(a.bits - b.bits), float(a != b))
    return total


def file_name(plan: Plan) -> str:
    """What files of a plan are called."""
    return hashlib.sha256(repr(plan.layers).encode()).hexdigest()[:16]


class TrainedBefore:
    """Plans in the order in which they were trained, and their weights: in memory, or in a directory.

    A plan may start from those before its own group of ``group`` plans, so that what it becomes does not
    depend on how many are trained at once, nor on where a search was interrupted.
    """

    def __init__(self, group: int) -> None:
        self._group = group
        self._plans: list[Plan] = []
        self._numbers: dict[Plan, int] = {}
        self._failed: set[Plan] = set()
        self._held: dict[Plan, dict[str, Tensor]] = {}
        self._directory: Path | None = None

    def go_on(self, directory: Path, plans: Sequence[Plan], failed: Sequence[Plan]) -> None:
        """Keep weights in ``directory``, where those of ``plans``, but for the failed ones, lie already."""
        self._directory = directory
        for plan in plans:
            self._count(plan)
        self._failed.update(failed)

    def __len__(self) -> int:
        return len(self._plans)

    def start(self, plan: Plan, number: int) -> int | None:
        """The place of the nearest plan that the one at ``number`` may start from, the first of several."""
        known = [
            place
            for place, each in enumerate(self._plans[: number - number % self._group])
            if each not in self._failed
        ]
        return min(known, key=lambda place: (distance(plan, self._plans[place]), place), default=None)

    def in_group(self, number: int) -> int:
        """How many plans from ``number`` on belong to the same group."""
        return self._group - number % self._group

    def add(self, plan: Plan, weights: Mapping[str, Tensor] | None) -> None:
        """Remember what a plan was trained to; None: it could not be."""
        self._count(plan)
        if weights is None:
            self._failed.add(plan)
        elif self._directory is None:
            self._held[plan] = {name: tensor.detach().clone() for name, tensor in weights.items()}
        else:
            with replacing(self._path(plan)) as partial:
                save_file({name: tensor.contiguous() for name, tensor in weights.items()}, partial)

    def fail(self, plan: Plan) -> None:
        """Let no plan start from this one."""
        self._failed.add(plan)

    def weights(self, place: int) -> dict[str, Tensor]:
        """What the plan at a place was trained to.

        Raises:
            RunError: its file is gone.
        """
        plan = self._plans[place]
        if plan in self._held:
            return self._held[plan]
        path = self._path(plan)
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise RunError(
                f"{path}: cannot be read ({error}); trial {place} left its weights there, and a later plan "
                "starts from them: start a new run instead"
            ) from error

    def of(self, plan: Plan) -> dict[str, Tensor] | None:
        """What a plan was trained to; None where that is not known."""
        if plan not in self._numbers or plan in self._failed:
            return None
        with suppress(RunError):
            return self.weights(self._numbers[plan])
        return None

    def place(self, plan: Plan) -> int | None:
        """Where in the order of training a plan stands; None: nowhere."""
        return self._numbers.get(plan)

    def _count(self, plan: Plan) -> None:
        self._numbers[plan] = len(self._plans)
        self._plans.append(plan)

    def _path(self, plan: Plan) -> Path:
        assert self._directory is not None, "held in memory"
        return self._directory / f"{file_name(plan)}.safetensors"
