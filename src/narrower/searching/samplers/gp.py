"""Optuna's Gaussian process sampler whose local searches go on together.

Optuna improves ten plans, choice after choice, by looking at all values of one choice, and asks the
acquisition function for each plan and choice apart; most of its time goes into these calls. Here all plans
are looked at in one call. Fits and acquisition function are Optuna's.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.samplers import GPSampler

Points = NDArray[np.float64]

PRELIMINARY = 2048  # points of a Sobol sequence; of these and the best known plans some are improved
IMPROVED = 10
MOST_ROUNDS = 100


class TogetherGp(GPSampler):  # type: ignore[misc] # Optuna is not checked
    """Proposes what Optuna's sampler does, but sees choices of more than 16 values in full."""

    def __init__(self, seed: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().__init__(seed=seed, deterministic_objective=True)

    def _optimize_acqf(self, acqf: Any, best_params: Points | None) -> Points:
        known = np.empty((0, acqf.search_space.dim)) if best_params is None else best_params
        chance: np.random.RandomState = self._rng.rng
        sampled: Points = acqf.search_space.sample_normalized_params(PRELIMINARY, rng=chance)
        starts = np.vstack([sampled[_promising(acqf.eval_acqf_no_grad(sampled), len(known), chance)], known])
        return improved(acqf.eval_acqf_no_grad, starts, acqf.search_space.get_choices_of_discrete_params())


def _promising(gains: Points, known: int, chance: np.random.RandomState) -> NDArray[np.intp]:
    """The best, and others by chance: the more probably the greater their gains (logarithms) are."""
    best = int(np.argmax(gains))
    weights = np.exp(gains - gains[best])
    weights[best] = 0.0
    weights /= weights.sum()
    count = min(IMPROVED - known - 1, int(np.count_nonzero(weights)))
    if count <= 0:
        return np.array([best])
    return np.append([best], chance.choice(len(gains), size=count, replace=False, p=weights))


def improved(gain: Callable[[Points], Points], starts: Points, values: list[Points]) -> Points:
    """The best point that is reached from ``starts`` [S, choices] by changing one choice after the other.

    A start has arrived when a whole round changes nothing; ``values`` are those of each choice.
    """
    points, gains = starts.copy(), gain(starts)
    changed_last = np.full(len(points), -1)
    moving = np.arange(len(points))
    for _ in range(MOST_ROUNDS):
        for choice, own in enumerate(values):
            moving = moving[changed_last[moving] != choice]
            if not len(moving):
                break
            others = np.repeat(points[moving, None], len(own), axis=1)
            others[:, :, choice] = own
            found = gain(others.reshape(-1, points.shape[1])).reshape(len(moving), len(own))
            found[own == points[moving, choice, None]] = -np.inf
            best = found.argmax(axis=1)
            better = found[np.arange(len(moving)), best] > gains[moving]
            rows = moving[better]
            points[rows, choice] = own[best[better]]
            gains[rows] = found[better, best[better]]
            changed_last[rows] = choice
        moving = moving[changed_last[moving] != -1]
        if not len(moving):
            break
    best_point: Points = points[int(np.argmax(gains))]
    return best_point
