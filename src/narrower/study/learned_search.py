"""A search whose plans one training proposes: its members become trials as they are found."""

import time

from narrower.errors import StopSearch
from narrower.evaluate.backends.backend import Workers
from narrower.preparation.learned import Learned
from narrower.preparation.learned_shapes import LearnedShapes
from narrower.preparation.preparation import Preparation
from narrower.preparation.settings import LearnedSettings, LearnedShapesSettings
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.learned_shapes_search import shapes_search
from narrower.study.learned_trials import LearnedOutcome, LearnedTrials
from narrower.study.problem import Problem
from narrower.study.shape_work import ShapesElsewhere, ShapesWork
from narrower.study.tracked import ShowProgress

STATE = "state"  # directory of a run where a training lies that has not ended


def learned_search(
    problem: Problem,
    run: RunDirectory,
    store: TrialStore,
    learned: Preparation,
    show_progress: ShowProgress,
    workers: Workers | None = None,
) -> LearnedOutcome:
    """Learn, or go on with a training that was killed, and record each network that it proposed as a trial.

    Ctrl-C ends the training with what there is; it can go on.

    Raises:
        RunError: the training does not repeat what the run recorded.
    """
    if isinstance(learned, LearnedShapes):
        elsewhere = None
        if workers is not None and isinstance(problem.preparation, LearnedShapesSettings):
            work = ShapesWork(problem.preparation, problem.subject, problem.part)
            elsewhere = ShapesElsewhere(work, workers)
        return shapes_search(problem, run, store, learned, show_progress, elsewhere)
    book = LearnedTrials(problem, store)
    assert isinstance(problem.preparation, LearnedSettings)
    assert isinstance(learned, Learned)
    started = time.monotonic()
    try:
        with show_progress(problem.preparation.epochs) as progress:
            learned.learn(
                problem.part,
                book.add,
                lambda epoch, members: progress(epoch + 1, members),
                run.path / STATE,
                book.write,
            )
        book.tally.exhausted = True
    except (KeyboardInterrupt, StopSearch):
        book.tally.stopped = "interrupted"
    book.write()
    book.tally.evaluation_seconds = time.monotonic() - started
    return book.outcome(learned.members)
