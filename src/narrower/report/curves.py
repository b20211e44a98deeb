"""How plans did while they were trained: ``curves.json`` has every candidate that was trained and scored."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from narrower.report.optional_record import read_optional
from narrower.report.record import STRICT
from narrower.store.run_directory import RunDirectory

NAME = "curves.json"


@dataclass(frozen=True, slots=True)
class Epoch:
    """How a plan did after an epoch: the loss of its batches, loss and leading metric on what scores."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    step: int
    taught: float
    loss: float
    value: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One candidate by the number of its trial; ``untrained``: what a member has with the model's weights."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    number: int
    epochs: tuple[Epoch, ...]
    is_member: bool = False
    untrained: float | None = None


@dataclass(frozen=True, slots=True)
class CurvesRecord:
    """The curves of a search that trained its candidates; ``metric`` leads."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    metric: str
    curves: tuple[Curve, ...]

    def to_dict(self) -> Mapping[str, Any]:
        """The JSON form."""
        return asdict(self)


def read_curves(run: RunDirectory) -> CurvesRecord | None:
    """What was recorded in a run; None where no candidates were trained.

    Raises:
        RunError: the record cannot be read.
    """
    return read_optional(run.path / NAME, CurvesRecord)
