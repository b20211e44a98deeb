"""A search over channel widths: a sampler proposes them, and a training of each learns its number formats."""

import time
from collections.abc import Mapping, Sequence
from math import log

from narrower.errors import StopSearch
from narrower.preparation.learned_shapes import LearnedShapes
from narrower.preparation.settings import LearnedSettings
from narrower.searching.known import Known
from narrower.searching.left_over import PATIENCE
from narrower.searching.loop import Progress
from narrower.searching.objective import Objective, Objectives, first_broken
from narrower.searching.samplers.build import build_sampler
from narrower.searching.samplers.sampler import Losses
from narrower.searching.space import Options
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.learned_trials import LearnedOutcome, LearnedTrials
from narrower.study.problem import Problem
from narrower.study.tracked import ShowProgress
from narrower.tasks.task import leading

STATE = "state/shape-{}"  # below the directory of a run: where each training lies
TRIALS_FACT = "trials of shapes"  # how many each shape has that was trained to its end
LEAST_COST = 1e-9  # so that there is a logarithm

Point = tuple[float, float]  # a cost, and the leading metric; more is better


def shapes_search(
    problem: Problem, run: RunDirectory, store: TrialStore, shapes: LearnedShapes, show_progress: ShowProgress
) -> LearnedOutcome:
    """Train shapes until as many as wanted were tried; every network that one proposes is a trial.

    The sampler is told of each shape how good its networks are over the costs of the first one's. Ctrl-C ends
    the search with what there is; it can go on.

    Raises:
        RunError: a training does not repeat what the run recorded.
    """
    book, started = LearnedTrials(problem, store), time.monotonic()
    try:
        with show_progress(problem.wanted_trials * _epochs(problem)) as progress:
            _Shapes(problem, run, store, shapes, book).train(progress)
        book.tally.exhausted = problem.wanted_trials == problem.space.size
        book.tally.stopped = "complete" if book.tally.exhausted else "n_trials"
    except (KeyboardInterrupt, StopSearch):
        book.tally.stopped = "interrupted"
    book.write()
    book.tally.evaluation_seconds = time.monotonic() - started
    return book.outcome(shapes.members)


class _Shapes:
    """The shapes that were trained, each once, whatever the sampler repeats."""

    def __init__(
        self,
        problem: Problem,
        run: RunDirectory,
        store: TrialStore,
        shapes: LearnedShapes,
        book: LearnedTrials,
    ) -> None:
        self._problem, self._run, self._store, self._shapes, self._book = problem, run, store, shapes, book
        self._losses: dict[Options, Losses | None] = {}
        self._first: list[Point] = []  # the front of the first shape that has one
        ended = store.facts().get(TRIALS_FACT)
        self._ended: list[int] = ended if isinstance(ended, list) else []

    def train(self, progress: Progress) -> None:
        """Ask, train, tell."""
        problem, wanted = self._problem, self._problem.wanted_trials
        metric = leading(problem.data.task)
        quality = Objectives((Objective(metric.name, metric.direction),))
        sampler = build_sampler(
            problem.options.sampler,
            problem.space,
            seed=problem.options.seed,
            wanted=wanted,
            known=Known(problem.costs, quality),
        )
        repeated = 0
        while len(self._losses) < wanted and repeated < PATIENCE:
            proposals = sampler.ask(1)
            if not proposals:
                return
            for options in proposals:
                repeated += options in self._losses
                if options not in self._losses:
                    self._losses[options] = self._trained(options, progress)
                    repeated = 0
                sampler.tell(options, self._losses[options])

    def _trained(self, options: Options, progress: Progress) -> Losses | None:
        number, book = len(self._losses), self._book
        shape = self._shapes.begin(self._problem.space.plan(options).widths, sum(self._ended[:number]))
        before = number * _epochs(self._problem)
        shape.learned.learn(
            self._problem.part,
            lambda proposal: book.add(proposal, shape),
            lambda epoch, members: progress(before + epoch + 1, members),
            self._run.path / STATE.format(number),
            book.write,
        )
        book.write()
        if number == len(self._ended):
            self._ended.append(len(book) - shape.first)
            self._store.set_fact(TRIALS_FACT, self._ended)
            self._store.commit()
        points = self._points([shape.first + each for each in shape.learned.members])
        self._first = self._first or points
        return (-mean_quality(points, self._first),) if points else None

    def _points(self, numbers: Sequence[int]) -> list[Point]:
        """The networks that the constraints admit."""
        problem, metric = self._problem, leading(self._problem.data.task)
        assert isinstance(problem.preparation, LearnedSettings)
        rows: list[Mapping[str, float]] = [self._book.metrics(number) for number in numbers]
        return sorted(
            (row[problem.preparation.cost], metric.sign * row[metric.name])
            for row in rows
            if first_broken(problem.constraints, row) is None
        )


def mean_quality(points: Sequence[Point], first: Sequence[Point]) -> float:
    """The best quality within a cost, as a mean over the costs of ``first`` on a scale of logarithms.

    Where no point is as cheap, it is the quality of the cheapest of ``first``, or the worst of ``points``.
    """
    low, high = (log(max(cost, LEAST_COST)) for cost in (first[0][0], first[-1][0]))
    best = min(first[0][1], *(quality for _, quality in points))
    total, at = 0.0, low
    for cost, quality in points:
        here = min(max(log(max(cost, LEAST_COST)), low), high)
        total += best * (here - at)
        at, best = here, max(best, quality)
    total += best * (high - at)
    return total / (high - low) if high > low else best


def _epochs(problem: Problem) -> int:
    assert isinstance(problem.preparation, LearnedSettings)
    return problem.preparation.epochs
