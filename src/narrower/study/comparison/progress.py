"""How near the front of a search was to the best front, trial by trial."""

from collections.abc import Sequence

import numpy as np

from narrower.searching.front import front_indices
from narrower.searching.samplers.sampler import Losses
from narrower.study.comparison.record import Steps
from narrower.study.comparison.yardstick import Rows, Yardstick


def steps(
    losses: Sequence[Losses | None],
    seconds: Sequence[float],
    measure: Yardstick,
    names: Sequence[str],
    signs: Sequence[int],
) -> Steps:
    """The steps of one run: ``losses`` of its trials in order (None: failed or not admitted), ``seconds``
    until each of them; ``names`` and ``signs`` of the objectives."""
    front: Rows = np.empty((0, len(names)))
    rows: list[tuple[int, float, float, float, float]] = []
    best: list[Rows] = []
    for number, row in enumerate(losses):
        if row is None or (front <= row).all(axis=1).any():
            continue
        front = np.vstack([front, row])
        front = front[front_indices(front)]
        rows.append(
            (
                number + 1,
                seconds[number],
                measure.share(front),
                measure.found(front),
                measure.distance(front),
            )
        )
        best.append(front.min(axis=0) * signs)
    trials, at, shares, found, distances = zip(*rows, strict=True) if rows else ((),) * 5
    columns = np.array(best).reshape(len(best), len(names)).T.tolist()
    return Steps(
        trials,
        at,
        shares,
        found,
        distances,
        {name: tuple(column) for name, column in zip(names, columns, strict=True)},
    )
