"""Compare what an artefact gives with our own evaluation of the plan."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from narrower.tasks.classification.decided import decided

Mode = Literal["exact", "class", "close"]
CLOSE = 1e-5  # of the largest output: what sums in another order may come to


@dataclass(frozen=True, slots=True)
class Check:
    """One run of the artefact against our own evaluation of the plan.

    ``largest_difference`` is in units of the outputs. ``differing_classes`` counts samples whose highest
    output is another one.
    """

    runtime: str
    conditions: str
    samples: int
    elements: int
    differing_elements: int
    differing_classes: int
    largest_difference: float
    largest_output: float = 0.0

    def passed(self, mode: Mode) -> bool:
        """Whether what must be equal is equal, or where outputs are numbers, close."""
        if mode == "close":
            return self.largest_difference <= CLOSE * self.largest_output
        return (self.differing_elements if mode == "exact" else self.differing_classes) == 0


def compare(theirs: NDArray[np.float32], ours: NDArray[np.float32], runtime: str, conditions: str) -> Check:
    """Compare outputs [N, classes] element by element; NaN equals nothing."""
    differs = theirs != ours
    gaps = np.abs(theirs.astype(np.float64) - ours.astype(np.float64))
    return Check(
        runtime=runtime,
        conditions=conditions,
        samples=len(ours),
        elements=ours.size,
        differing_elements=int(differs.sum()),
        differing_classes=int((decided(theirs) != decided(ours)).reshape(len(ours), -1).any(axis=1).sum()),
        largest_difference=float(np.nan_to_num(gaps, nan=np.finfo(np.float64).max).max(initial=0.0)),
        largest_output=float(np.abs(ours).max(initial=0.0)),
    )
