"""Which values are read once, to be rounded: what they are rounded to is held in their place."""

from collections import Counter
from collections.abc import Sequence

from torch import Tensor

from narrower.evaluate.steps import Steps
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat

Formats = tuple[NumberFormat, ...]


class RoundedOnly:
    """Values that are read once, to be rounded, and in one format by all plans seen so far.

    What they are rounded to is held in their place.
    """

    def __init__(self, steps: Steps) -> None:
        readers = Counter(source for step in steps.steps for source in set(step.inputs))
        self._slots = {
            step.inputs[0]: step.slot
            for step in steps.steps
            if step.slot is not None and readers[step.inputs[0]] == 1
        }
        # Where a ReLU in place is read by a rounding alone, whose format may cut off as much by itself.
        self.cut_off = {
            source: slot
            for source, slot in self._slots.items()
            if steps.steps[source].overwrite is Tensor.relu_
        }
        self._formats: list[set[NumberFormat]] = [set() for _ in steps.slots]
        self.all_once = frozenset(self._slots)  # what a plan on its own reads once

    def passed(self, formats: Sequence[Formats]) -> frozenset[int]:
        """The steps whose values need not be held for these plans, as far as is known."""
        for seen, given in zip(self._formats, zip(*formats, strict=True), strict=False):
            seen.update(given)
        return frozenset(
            source
            for source, slot in self._slots.items()
            if len(self._formats[slot]) == 1 and FLOAT32 not in self._formats[slot]
        )
