"""A search over channel widths: a sampler proposes them, and a training of each learns its number formats."""

import time
from collections.abc import Iterator, Mapping, Sequence
from math import log
from pathlib import Path

from narrower.errors import StopSearch
from narrower.preparation.learned_shapes import LearnedShapes
from narrower.preparation.settings import LearnedSettings
from narrower.searching.known import Known
from narrower.searching.left_over import PATIENCE
from narrower.searching.loop import Progress
from narrower.searching.objective import Objective, Objectives, first_broken
from narrower.searching.samplers.build import build_sampler
from narrower.searching.samplers.catalogue import ENUMERATIONS
from narrower.searching.samplers.sampler import Losses, Sampler
from narrower.searching.space import Options
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.learned_trials import LearnedOutcome, LearnedTrials
from narrower.study.problem import Problem
from narrower.study.shape_work import ShapesElsewhere, forget_proposed, proposed_in
from narrower.study.tracked import ShowProgress
from narrower.tasks.task import leading

STATE = "state/shape-{}"  # below the directory of a run: where each training lies
TRIALS_FACT = "trials of shapes"  # how many each shape has that was trained to its end
LEAST_COST = 1e-9  # so that there is a logarithm

Point = tuple[float, float]  # a cost, and the leading metric; more is better


def shapes_search(
    problem: Problem,
    run: RunDirectory,
    store: TrialStore,
    shapes: LearnedShapes,
    show_progress: ShowProgress,
    elsewhere: ShapesElsewhere | None,
) -> LearnedOutcome:
    """Train shapes until as many as wanted were tried; every network that one proposes is a trial.

    The sampler is told of each shape how good its networks are over the costs of the first one's. Ctrl-C ends
    the search with what there is; it can go on. Where the sampler learns nothing from that, trainings are
    done ``elsewhere``, several at a time, if there are workers.

    Raises:
        RunError: a training does not repeat what the run recorded.
    """
    book, started = LearnedTrials(problem, store), time.monotonic()
    try:
        with show_progress(problem.wanted_trials * _epochs(problem)) as progress:
            _Shapes(problem, run, store, shapes, book, elsewhere).train(progress)
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
        elsewhere: ShapesElsewhere | None,
    ) -> None:
        self._problem, self._run, self._store, self._shapes, self._book = problem, run, store, shapes, book
        self._elsewhere = elsewhere
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
        if self._elsewhere is not None and problem.options.sampler in ENUMERATIONS:
            self._train_many(list(_asked(sampler, wanted)), self._elsewhere, progress)
            return
        for options in _asked(sampler, wanted, self._losses):
            self._losses[options] = self._trained(options, progress)

    def _train_many(self, every: Sequence[Options], elsewhere: ShapesElsewhere, progress: Progress) -> None:
        """Several at a time; what they propose is taken in as if one came after the other."""
        for start in range(0, len(every), elsewhere.count):
            some = every[start : start + elsewhere.count]
            shapes = [self._shapes.shape(self._widths(options)) for options in some]
            directories = [self._directory(start + place) for place in range(len(some))]
            elsewhere.learn(shapes, directories, self._book)
            for options in some:
                self._losses[options] = self._trained(options, progress)
                progress(len(self._losses) * _epochs(self._problem), len(self._shapes.members))

    def _widths(self, options: Options) -> Mapping[str, float]:
        return self._problem.space.plan(options).widths

    def _directory(self, number: int) -> Path:
        return self._run.path / STATE.format(number)

    def _trained(self, options: Options, progress: Progress) -> Losses | None:
        number, book = len(self._losses), self._book
        shape = self._shapes.begin(self._widths(options), sum(self._ended[:number]))
        before, directory = number * _epochs(self._problem), self._directory(number)
        for row in proposed_in(directory):
            book.take(row, shape.first)
        shape.learned.learn(
            self._problem.part,
            lambda proposal: book.add(proposal, shape),
            lambda epoch, members: progress(before + epoch + 1, members),
            directory,
            book.write,
        )
        book.write()
        if number == len(self._ended):
            self._ended.append(len(book) - shape.first)
            self._store.set_fact(TRIALS_FACT, self._ended)
            self._store.commit()
        forget_proposed(directory)
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


def _asked(
    sampler: Sampler, wanted: int, losses: Mapping[Options, Losses | None] | None = None
) -> Iterator[Options]:
    """Different proposals; the sampler is told of ``losses``, which are there when it goes on."""
    seen, repeated = set[Options](), 0
    while len(seen) < wanted and repeated < PATIENCE:
        proposals = sampler.ask(1)
        if not proposals:
            return
        for options in proposals:
            repeated += options in seen
            if options not in seen:
                seen.add(options)
                yield options
                repeated = 0
            sampler.tell(options, None if losses is None else losses[options])


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
