"""How the front grew: the hypervolume after each trial."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrower.searching.front import front_indices, hypervolume

CHUNK = 256  # trials that are compared with the front at a time


@dataclass(frozen=True, slots=True)
class HypervolumeCurve:
    """The trials after which the hypervolume grew.

    ``trials`` counts trials from 1, ``values`` are the volumes; between two steps nothing changes. The last
    step is the last trial.
    """

    trials: NDArray[np.int64]
    seconds: NDArray[np.float64]
    values: NDArray[np.float64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Relative to the last value; zeros where that is zero."""
        final = self.values[-1] if len(self.values) else 0.0
        return self.values / final if final > 0 else np.zeros(len(self.values))

    def first_at(self, share: float) -> int | None:
        """Trials that were needed for a share of the last value; None where that is zero."""
        if len(self.values) == 0 or self.values[-1] <= 0:
            return None
        return int(self.trials[np.argmax(self.shares >= share)])


def hypervolume_curve(
    losses: NDArray[np.float64],
    admitted: NDArray[np.bool_],
    seconds: NDArray[np.float64],
    reference: NDArray[np.float64],
) -> HypervolumeCurve:
    """The curve of [N, M] losses in their order, up to ``reference`` [M]; trials not admitted add nothing."""
    counts = np.isfinite(losses).all(axis=1) & (losses < reference).all(axis=1) & admitted
    front = np.empty((0, losses.shape[1]))
    steps: list[tuple[int, float]] = []
    for start in range(0, len(losses), CHUNK):
        rows = np.flatnonzero(counts[start : start + CHUNK]) + start
        covered = np.any(np.all(front[None] <= losses[rows][:, None], axis=2), axis=1)
        for row in rows[~covered]:
            if (front <= losses[row]).all(axis=1).any():
                continue
            merged = np.vstack([front, losses[row]])
            front = merged[front_indices(merged)]
            steps.append((int(row), hypervolume(front, reference)))
    if len(losses) and (not steps or steps[-1][0] != len(losses) - 1):
        steps.append((len(losses) - 1, steps[-1][1] if steps else 0.0))
    rows = np.array([row for row, _ in steps], dtype=np.int64)
    return HypervolumeCurve(rows + 1, seconds[rows], np.array([value for _, value in steps]))
