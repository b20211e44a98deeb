"""Our own sampler: costs are known exactly, so that only the measured quality is modelled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from narrower.searching.front import front_indices, hypervolume
from narrower.searching.known import Known
from narrower.searching.samplers.features import SlotFeatures
from narrower.searching.samplers.order import uniforms
from narrower.searching.samplers.sampler import Losses
from narrower.searching.samplers.surrogate import Surrogate
from narrower.searching.space import Options, Space

Rows = NDArray[np.float64]

ENUMERABLE = 2**15  # up to this size of a space every plan is a candidate
POOL = 4096  # candidates where there are more plans
MOST_LEARNT = 400  # plans that the model learns from: the best and the latest
POOLS = 10  # that are drawn before none of such a space is thought to be left
RANDOM_PLANS = 2  # in the beginning: another seed is another search
REFIT = 1.1  # hyper-parameters are searched again when there are so many times more plans
DRAWN = 48  # candidates whose gain is computed where several losses are measured


class Guided:
    """Proposes what most improves the expected hypervolume.

    It begins with uniform plans (all choices as large as possible, as small, and in between) and two random
    ones. Then a Gaussian process models each measured loss over the positions of the choices. With one
    measured and at most one known loss, the expected improvement of the hypervolume is exact (a sum over the
    steps of the front of expected improvements, Jones et al. 1998, weighted by their widths); otherwise a
    value is drawn from the model for each candidate, and the gain of the draw counts.

    Every plan is a candidate where there are at most 32,768; in larger spaces, neighbours and crossings of
    the front's plans and random plans are.
    """

    never_repeats = False  # it never does, but it wants to be told
    default_batch = 4
    note: str | None = None

    def __init__(self, space: Space, seed: int, known: Known, first: Sequence[Options] = ()) -> None:
        """``first`` are plans to begin with in the place of uniform ones."""
        self._space, self._known = space, known
        self._chance = np.random.default_rng(seed)
        self._features = [SlotFeatures(slot) for slot in space.slots]
        width = sum(own.count for own in self._features)
        self._models = [Surrogate(width) for measured in known.is_measured if measured]
        self._tried: set[int] = set()
        self._options: list[Options] = []
        self._losses: list[Losses] = []
        self._learnt = 0  # plans at the last search for hyper-parameters
        self._first = self._first_plans(first)
        self.covers_space = space.size <= ENUMERABLE
        self._all = self._described(self._admitted(space.enumerate())) if self.covers_space else None

    def ask(self, count: int) -> Sequence[Options]:
        """Up to ``count`` assignments that were not tried."""
        chosen: list[Options] = []
        while self._first and len(chosen) < count:
            options = self._first.pop(0)
            if self._take(options):
                chosen.append(options)
        if not chosen:
            chosen = self._best(count)
            for options in chosen:
                self._take(options)
        return chosen

    def tell(self, options: Options, losses: Losses | None) -> None:
        """Learn from a plan; one that failed counts as the worst so far, so that its like is avoided."""
        self._tried.add(self._space.index_of(options))
        if losses is None:
            if not self._losses:
                return
            losses = tuple(np.max(self._losses, axis=0).tolist())
        self._options.append(options)
        self._losses.append(losses)

    def _take(self, options: Options) -> bool:
        index = self._space.index_of(options)
        if index in self._tried:
            return False
        self._tried.add(index)
        return True

    def _first_plans(self, given: Sequence[Options]) -> list[Options]:
        """Uniform or given plans and random ones; only random ones where constraints admit none of these."""
        plans = list(given) or uniforms(self._space)
        return [*(self._admitted(plans) or self._random(len(plans))), *self._random(RANDOM_PLANS)]

    def _admitted(self, assignments: Iterable[Options]) -> list[Options]:
        listed = list(assignments)
        admitted = self._known.admitted(listed)
        return [options for options, is_admitted in zip(listed, admitted, strict=True) if is_admitted]

    def _random(self, count: int) -> list[Options]:
        sizes = self._space.counts
        drawn = [tuple(int(self._chance.integers(size)) for size in sizes) for _ in range(8 * count)]
        return self._admitted(dict.fromkeys(drawn))[:count]

    def _candidates(self) -> tuple["_Described", NDArray[np.intp]]:
        """Candidates, and which of them were not tried."""
        if self._all is not None:
            is_left = ~np.isin(self._all.indices, np.fromiter(self._tried, dtype=np.int64))
            return self._all, np.flatnonzero(is_left)
        found = self._described(next((pool for pool in (self._pool() for _ in range(POOLS)) if pool), []))
        return found, np.arange(len(found.options))

    def _described(self, options: list[Options]) -> "_Described":
        indices = [self._space.index_of(own) for own in options] if self.covers_space else []
        if not options:
            return _Described([], np.empty((0, 0)), np.empty((0, 0)), np.empty(0, dtype=np.int64))
        known, features = self._known.losses(options), self._features_of(options)
        return _Described(options, known, features, np.array(indices, dtype=np.int64))

    def _pool(self) -> list[Options]:
        """Admitted plans that were not tried: near the front's plans, between them, and at random."""
        front = front_indices(np.array(self._losses)) if self._losses else ()
        parents = [self._options[i] for i in front] or uniforms(self._space)
        sizes = self._space.counts
        pool: dict[Options, None] = dict.fromkeys(self._random(POOL // 4))
        for _ in range(POOL):
            child = list(parents[self._chance.integers(len(parents))])
            if self._chance.random() < 0.5:  # noqa: PLR2004 - crossing as often as not
                other = parents[self._chance.integers(len(parents))]
                child = [a if self._chance.random() < 0.5 else b for a, b in zip(child, other, strict=True)]  # noqa: PLR2004
            for _ in range(self._chance.integers(1, 4)):
                slot = int(self._chance.integers(len(sizes)))
                child[slot] = int(self._chance.integers(sizes[slot]))
            pool[tuple(child)] = None
        return self._admitted(o for o in pool if self._space.index_of(o) not in self._tried)

    def _best(self, count: int) -> list[Options]:
        candidates, left = self._candidates()
        if len(left) <= count or len(self._losses) < 2:  # noqa: PLR2004 - nothing to learn from
            order = self._chance.permutation(len(left))[:count]
            return [candidates.options[left[i]] for i in order]
        learnt = self._learnt_positions()
        points = self._features_of([self._options[i] for i in learnt])
        values = np.array([self._losses[i] for i in learnt]) - self._known.losses(
            [self._options[i] for i in learnt]
        )
        self._learn(points, values)
        losses = np.array(self._losses)
        chosen: list[Options] = []
        while True:
            predictions = [model.predict(candidates.features) for model in self._models]
            of_left = [(mean[left], deviation[left]) for mean, deviation in predictions]
            best = int(self._gain(losses, candidates.known[left], of_left).argmax())
            taken, left = int(left[best]), np.delete(left, best)
            chosen.append(candidates.options[taken])
            if len(chosen) == count:
                return chosen
            expected = [float(mean[taken]) for mean, _ in predictions]
            losses, points, values = self._believed(
                losses, points, values, candidates.known[taken], candidates.features[taken], expected
            )

    def _learnt_positions(self) -> list[int]:
        if len(self._losses) <= MOST_LEARNT:
            return list(range(len(self._losses)))
        front = set(front_indices(np.array(self._losses)).tolist())
        latest = range(len(self._losses) - MOST_LEARNT + len(front), len(self._losses))
        return sorted(front.union(latest))

    def _learn(self, points: Rows, values: Rows) -> None:
        search = len(points) >= REFIT * self._learnt
        if search:
            self._learnt = len(points)
        for model, column in zip(self._models, np.flatnonzero(self._known.is_measured), strict=True):
            model.fit(points, values[:, column], search=search)

    def _believed(
        self,
        losses: Rows,
        points: Rows,
        values: Rows,
        known: Rows,
        features: Rows,
        predicted: Sequence[float],
    ) -> tuple[Rows, Rows, Rows]:
        """The data with a chosen candidate as the model expects it, so that the next one lies elsewhere."""
        expected = np.zeros(len(self._known.is_measured))
        columns = np.flatnonzero(self._known.is_measured)
        expected[columns] = predicted
        points, values = np.vstack([points, features]), np.vstack([values, expected])
        for model, column in zip(self._models, columns, strict=True):
            model.fit(points, values[:, column], search=False)
        return np.vstack([losses, known + expected]), points, values

    def _gain(self, losses: Rows, known: Rows, predictions: Sequence[tuple[Rows, Rows]]) -> Rows:
        """How much each candidate is expected to add to the hypervolume."""
        columns = np.flatnonzero(self._known.is_measured)
        if len(columns) == 1 and losses.shape[1] <= 2:  # noqa: PLR2004 - the plane
            mean = known[:, columns[0]] + predictions[0][0]
            cost = np.zeros(len(known)) if losses.shape[1] == 1 else known[:, 1 - columns[0]]
            paid = np.zeros(len(losses)) if losses.shape[1] == 1 else losses[:, 1 - columns[0]]
            return expected_gain(mean, predictions[0][1], cost, losses[:, columns[0]], paid)
        drawn = known.copy()
        for column, (mean, deviation) in zip(columns, predictions, strict=True):
            drawn[:, column] += mean + deviation * self._chance.standard_normal(len(mean))
        return _drawn_gain(drawn, losses)

    def _features_of(self, assignments: Sequence[Options]) -> Rows:
        options = np.array(assignments, dtype=np.int64).reshape(len(assignments), -1)
        return np.concatenate([own.of(options[:, i]) for i, own in enumerate(self._features)], axis=1)


@dataclass(frozen=True, slots=True)
class _Described:
    """Candidates with what is known of their losses, their features, and, where all are listed, indices."""

    options: list[Options]
    known: Rows
    features: Rows
    indices: NDArray[np.int64]


def expected_gain(mean: Rows, deviation: Rows, cost: Rows, losses: Rows, paid: Rows) -> Rows:
    """Expected improvement of the hypervolume in the plane, [N].

    A candidate's loss is normal with ``mean`` and ``deviation``, its ``cost`` is known; ``losses`` and
    ``paid`` [T] are those of the plans tried. Reference point: the worst loss tried, and the largest cost of
    candidates and plans, with a margin, so that the dearest plan can gain as well.
    """
    worst = losses.max()
    largest = max(cost.max(), paid.max())
    end = largest + max(0.02 * (largest - min(cost.min(), paid.min())), 1e-9)
    front = front_indices(np.stack([paid, losses], axis=1))
    order = front[np.argsort(paid[front])]
    starts = np.append(-np.inf, paid[order])
    stops = np.append(paid[order], end)
    levels = np.append(worst, losses[order])
    gain = np.zeros(len(mean))
    for start, stop, level in zip(starts, stops, levels, strict=True):
        width = np.maximum(stop - np.maximum(cost, start), 0.0)
        reached = width > 0
        if reached.any():
            gain[reached] += width[reached] * expected_improvement(level, mean[reached], deviation[reached])
    return gain


def expected_improvement(level: float, mean: Rows, deviation: Rows) -> Rows:
    """Mean of how far a normal value lies below ``level`` (Jones et al. 1998, equation 15)."""
    distance = (level - mean) / deviation
    density = np.exp(-(distance**2) / 2.0) / np.sqrt(2 * np.pi)
    improvement: Rows = deviation * (distance * ndtr(distance) + density)
    return improvement


def _drawn_gain(drawn: Rows, losses: Rows) -> Rows:
    """What each drawn point adds to the hypervolume of the plans tried; minus infinity behind other draws."""
    worst = np.maximum(losses.max(axis=0), drawn.max(axis=0))
    best = np.minimum(losses.min(axis=0), drawn.min(axis=0))
    spans = np.where(worst > best, worst - best, 1.0)
    scaled, tried = (drawn - best) / spans, (losses - best) / spans
    members = tried[front_indices(tried)]
    reference = np.full(losses.shape[1], 1.02)
    gain = np.full(len(drawn), -np.inf)
    order = front_indices(scaled)
    before = hypervolume(members, reference)
    for index in order[np.argsort(scaled[order].sum(axis=1))][:DRAWN]:
        gain[index] = hypervolume(np.vstack([members, scaled[index]]), reference) - before
    return gain
