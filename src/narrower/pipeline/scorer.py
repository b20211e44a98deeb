"""What gives plans their quality."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from narrower.evaluate.quality import Quality
from narrower.plan import Plan


class Scorer(Protocol):
    """Scores plans, many at once."""

    @property
    def adopted(self) -> int:
        """Plans whose result came from an earlier search."""

    @property
    def training(self) -> str | None:
        """How candidates get their weights, in words; None where all plans share them."""

    def evaluate(self, plans: Sequence[Plan]) -> list[Quality]:
        """The quality of each plan; one that goes wrong has a ``failure``."""

    def adopt(self, results: Mapping[Plan, Quality]) -> None:
        """Use results of an earlier search under the same conditions."""
