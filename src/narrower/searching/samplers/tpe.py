"""Optuna's multivariate TPE without what Optuna computes anew for every proposal, and without repetitions.

Candidates and their values are those of Optuna's sampler for the same seed and answers: with its random
numbers in its order, its split into better and worse trials (``better_part.py``) and its densities
(``parzen.py``). Where two candidates are so close that rounding decides between them, Optuna's own code is
asked. But only candidates count that were not proposed before: Optuna's best one mostly was, the more so
the longer a search lasts.
"""

import math
import warnings
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import IntDistribution
from optuna.samplers import TPESampler

from narrower.searching.samplers.better_part import BetterPart, Fronts, Smallest
from narrower.searching.samplers.parzen import Codes, Mixture, Positions, Rows
from narrower.searching.samplers.sampler import Losses
from narrower.searching.space import Options, Space

STARTUP_TRIALS = 10
BETTER_SHARE, MOST_BETTER = 0.1, 25  # the limit is that for one loss
CANDIDATES = 24
DRAWS = 4  # of candidates, until one is new
DRAWN_INSTEAD = 100  # plans at random, where none was
FULL_WEIGHTS = 25  # the latest trials, among the worse ones; the others count less and less
SAME = 1e-9  # difference of logarithms below which rounding may decide


class Tpe:
    """TPE over the positions of a space's choices; what waits for its result counts as worse."""

    never_repeats = False
    covers_space = False
    default_batch = 1
    note: str | None = None

    def __init__(self, space: Space, seed: int, loss_count: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._optunas = TPESampler(multivariate=True, seed=seed, n_startup_trials=STARTUP_TRIALS)
        self._chance: np.random.RandomState = self._optunas._rng.rng
        self._fresh: np.random.RandomState = self._optunas._random_sampler._rng.rng  # of the first trials
        self._space, self._loss_count = space, loss_count
        counts = [len(choice.values) for choice in space.choices]
        self._varied = [number for number, count in enumerate(counts) if count > 1]
        self._counts = tuple(counts[number] for number in self._varied)
        # Optuna goes through parameters by their names, which are numbers as text.
        self._by_name = sorted(range(len(self._varied)), key=lambda place: str(self._varied[place]))
        self._codes = Codes.of(tuple(self._counts[place] for place in self._by_name))
        self._asked: deque[tuple[Options, int]] = deque()
        self._trials = _Trials(len(self._varied), len(self._codes.groups))
        self._better: BetterPart = Smallest() if loss_count == 1 else Fronts(loss_count)
        self._completed = 0
        self._worst: list[float] | None = None
        self._known: set[Options] = set()
        self._known_positions: set[tuple[int, ...]] = set()  # some of those that give them, by name

    def ask(self, count: int) -> Sequence[Options]:
        proposals = []
        for _ in range(count):
            positions = self._drawn() if self._completed < STARTUP_TRIALS else self._proposed()
            options = self._options(positions)
            self._known.add(options)
            self._asked.append((options, self._add(positions)))
            proposals.append(options)
        return proposals

    def tell(self, options: Options, losses: Losses | None) -> None:
        was_asked = bool(self._asked) and self._asked[0][0] == options
        row = self._asked.popleft()[1] if was_asked else None
        if losses is not None:
            self._worst = list(map(max, losses, self._worst or losses))
        # What is not admitted counts as worst in everything, so that the sampler turns away from it.
        values = list(losses) if losses is not None else self._worst
        if values is None or any(map(math.isnan, values)):
            if row is not None:
                self._trials.is_learnt[row] = False
            return
        if row is None:
            self._known.add(options)
            row = self._add(self._positions(options))
        self._better.add(row, values)
        self._completed += 1

    def _add(self, positions: Sequence[int]) -> int:
        """A trial that waits for its result."""
        named = tuple(positions[place] for place in self._by_name)
        return self._trials.add(named, self._codes.places(named))

    def _options(self, positions: Sequence[int]) -> Options:
        full = [0] * len(self._space.choices)
        for number, position in zip(self._varied, positions, strict=True):
            full[number] = position
        return self._space.options_of(full)

    def _positions(self, options: Options) -> list[int]:
        full = self._space.positions_of(options)
        return [full[number] for number in self._varied]

    def _drawn(self) -> list[int]:
        """At random."""
        drawn = [int(np.floor(self._fresh.uniform(-0.5, count - 0.5) + 0.5)) for count in self._counts]
        return [min(max(position, 0), count - 1) for position, count in zip(drawn, self._counts, strict=True)]

    def _proposed(self) -> list[int]:
        """Of some candidates from the better trials' density the one that most exceeds the worse ones'."""
        if not self._varied:
            return []
        better, worse = self._split()
        below = self._mixture(better, np.ones(len(better)))
        above = self._mixture(worse, _weights(len(worse)))
        for _ in range(DRAWS):
            candidates = self._candidates(below, better)
            new = [number for number, one in enumerate(map(tuple, candidates.tolist())) if self._is_new(one)]
            if new:
                return self._in_order(self._best(candidates, new, (below, better), (above, worse)))
        for _ in range(DRAWN_INSTEAD):
            positions = self._drawn()
            if self._is_new(tuple(positions[place] for place in self._by_name)):
                break
        return positions

    def _best(
        self,
        candidates: Positions,
        new: Sequence[int],
        below: tuple[Mixture, NDArray[np.intp]],
        above: tuple[Mixture, NDArray[np.intp]],
    ) -> list[int]:
        """The best of those candidates that are ``new``; densities are given with their trials."""
        different = np.array(list(dict.fromkeys(map(tuple, candidates[new].tolist()))))
        gains = below[0].logarithm(different) - above[0].logarithm(different)
        best = int(np.argmax(gains))
        if int((gains > gains[best] - SAME).sum()) == 1:  # none is NaN
            return list(map(int, different[best]))
        exactly = self._exactly(below[1], True).log_pdf(self._named(candidates))
        exactly -= self._exactly(above[1], False).log_pdf(self._named(candidates))
        return list(map(int, candidates[new[int(np.argmax(exactly[new]))]]))

    def _in_order(self, named: Sequence[int]) -> list[int]:
        """Positions in the order of the choices, from those in the order of names."""
        positions = [0] * len(self._varied)
        for place, position in zip(self._by_name, named, strict=True):
            positions[place] = position
        return positions

    def _is_new(self, named: tuple[int, ...]) -> bool:
        """Whether no proposal was this plan."""
        if named not in self._known_positions:
            if self._options(self._in_order(named)) not in self._known:
                return True
            self._known_positions.add(named)
        return False

    def _split(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The better trials, and all others that count, by when they were proposed."""
        count = math.ceil(BETTER_SHARE * self._completed)
        better = np.sort(self._better.best(min(count, MOST_BETTER) if self._loss_count == 1 else count))
        is_worse = self._trials.is_learnt[: self._trials.count].copy()
        is_worse[better] = False
        return better, np.flatnonzero(is_worse)

    def _mixture(self, rows: NDArray[np.intp], weights: Rows) -> Mixture:
        weights = np.append(weights, [1.0])
        weights /= weights.sum()
        columns, places = self._trials.columns.take(rows, axis=1), self._trials.places.take(rows, axis=1)
        return Mixture(self._codes, columns, places, weights)

    def _candidates(self, below: Mixture, better: NDArray[np.intp]) -> Positions:
        before = self._chance.get_state()
        kernels = self._chance.choice(len(below.weights), p=below.weights, size=CANDIDATES)
        quantiles = self._chance.uniform(low=0, high=1, size=(len(self._varied), CANDIDATES))
        candidates, is_close = below.positions_of(kernels, quantiles)
        if not is_close:
            return candidates
        self._chance.set_state(before)
        drawn = self._exactly(better, True).sample(self._chance, CANDIDATES)
        return np.stack([drawn[name] for name in self._names], axis=1).astype(np.int64)

    @property
    def _names(self) -> list[str]:
        return [str(self._varied[place]) for place in self._by_name]

    def _named(self, positions: NDArray[Any]) -> dict[str, Rows]:
        return {
            name: column.astype(np.float64) for name, column in zip(self._names, positions.T, strict=True)
        }

    def _exactly(self, rows: NDArray[np.intp], is_better: bool) -> Any:
        """Optuna's density of these trials."""
        space = {
            str(self._varied[place]): IntDistribution(0, self._counts[place] - 1) for place in self._by_name
        }
        weights = np.ones(len(rows)) if is_better and self._loss_count > 1 else None
        return self._optunas._parzen_estimator_cls(
            self._named(self._trials.columns[:, rows].T),
            space,
            self._optunas._parzen_estimator_parameters,
            weights,
        )


class _Trials:
    """What was proposed, in its order; ``is_learnt``: whether it is learnt from."""

    def __init__(self, choices: int, groups: int) -> None:
        self.count = 0
        self.columns: Rows = np.zeros((choices, 64))
        self.places: Positions = np.zeros((groups, 64), dtype=np.int64)
        self.is_learnt = np.zeros(64, dtype=bool)

    def add(self, positions: Sequence[int], places: Sequence[int]) -> int:
        if self.count == len(self.is_learnt):
            self.columns = np.concatenate([self.columns, np.zeros_like(self.columns)], axis=1)
            self.places = np.concatenate([self.places, np.zeros_like(self.places)], axis=1)
            self.is_learnt = np.concatenate([self.is_learnt, np.zeros_like(self.is_learnt)])
        row, self.count = self.count, self.count + 1
        self.columns[:, row], self.places[:, row], self.is_learnt[row] = positions, places, True
        return row


def _weights(count: int) -> Rows:
    """Of the worse trials, from the first to the latest."""
    if count < FULL_WEIGHTS:
        return np.ones(count)
    return np.concatenate([np.linspace(1.0 / count, 1.0, num=count - FULL_WEIGHTS), np.ones(FULL_WEIGHTS)])
