"""How candidates did, epoch by epoch, while they were trained: a file for each."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from narrower.data.parts import Part
from narrower.plan.plan import Plan
from narrower.preparation.nearest import file_name
from narrower.store.files import write_json

Row = tuple[int, float, float, float]  # step, loss of the epoch's batches, loss and leading metric on others


@dataclass(frozen=True, slots=True)
class Curves:
    """Files in ``directory``; ``watched`` are the samples that score plans, which change nothing."""

    watched: Part
    directory: Path

    def add(self, plan: Plan, curve: Tensor) -> None:
        """Keep the curve [E, 4] of a plan."""
        rows = [(int(step), *others) for step, *others in curve.tolist()]
        write_json(self._path(plan), {"epochs": rows})

    def of(self, plan: Plan) -> list[Row] | None:
        """The curve of a plan; None where there is none that can be read."""
        with suppress(OSError, ValueError, KeyError):
            content = json.loads(self._path(plan).read_text(encoding="utf-8"))
            return [(int(step), taught, loss, value) for step, taught, loss, value in content["epochs"]]
        return None

    def _path(self, plan: Plan) -> Path:
        return self.directory / f"{file_name(plan)}.json"
