"""With what the plans of a search are scored: samples, processes, memory, artefacts."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from narrower.data.parts import Part
from narrower.evaluate.backends.backend import Backend, Workers, build_backend, build_workers
from narrower.evaluate.backends.by_part import ByPart
from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.early import EarlyEvaluator, pieces
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.heap import drop_copies
from narrower.preparation.catalogue import build_preparation
from narrower.preparation.groups import InGroups, MadeWeights
from narrower.preparation.in_folds import InFolds
from narrower.preparation.preparation import KeepsTraining, Preparation
from narrower.searching.loop import EvaluateEarly
from narrower.searching.objective import ARTEFACT_METRICS, PROXIES
from narrower.searching.samplers.catalogue import ENUMERATIONS
from narrower.searching.together import Together
from narrower.study.artefacts import Artefacts
from narrower.study.candidate_work import CandidatesElsewhere, CandidateWork
from narrower.study.plan_evaluator import PlanEvaluator
from narrower.study.problem import Problem, Say
from narrower.study.scoring import Scoring
from narrower.study.threads import with_threads
from narrower.study.untrained_plans import UntrainedPlans
from narrower.tasks.task import LOSS

LEARNING_TOGETHER = 16  # proposals of a sampler that learns, where candidates are trained at once


class Evaluators(ExitStack):
    """What scores the plans of a problem; processes and ``threads`` are there while it is a context manager.

    ``whole`` scores on all samples. Where plans are dropped early, others score on parts of them.
    """

    def __init__(self, problem: Problem, batch_size: int, cache_bytes: int, threads: int, say: Say) -> None:
        super().__init__()
        self._threads = threads
        self._wants_loss = LOSS in problem.seen_metrics
        self._pieces: Sequence[Evaluator] = ()
        if problem.options.drop_dominated:
            cache_bytes //= 2  # for the whole, and for its pieces
            parts = pieces(problem.part, batch_size)
            shared = _shared(problem, say)
            self._pieces = [
                _evaluator(
                    problem,
                    part,
                    batch_size,
                    cache_bytes // len(parts),
                    say,
                    None if shared is None else shared.of(place),
                )
                for place, part in enumerate(parts, start=1)
            ]
            self.whole = _evaluator(
                problem, problem.part, batch_size, cache_bytes, say, None if shared is None else shared.of(0)
            )
        else:
            self.whole = _evaluator(problem, problem.part, batch_size, cache_bytes, say)
        self._problem, self._workers = problem, None if problem.shares_weights else _workers(problem, say)

    def __enter__(self) -> "Evaluators":
        super().__enter__()
        self.enter_context(with_threads(self._threads))
        drop_copies(self._problem.program.tensors.values())
        for evaluator in (self.whole, *self._pieces):
            self.enter_context(evaluator)
        return self

    @property
    def workers(self) -> Workers | None:
        """Those that train, where other processes do; they are ended with this."""
        if self._workers is not None:
            self.callback(self._workers.close)
        return self._workers

    @property
    def evaluate_early(self) -> EvaluateEarly | None:
        """Scores plans and drops those that can no longer matter, where that is asked for."""
        if not self._pieces:
            return None
        return partial(EarlyEvaluator(self._pieces).evaluate, loss=self._wants_loss)

    @property
    def lost_workers(self) -> int:
        """Worker processes that ended before they were told to."""
        lost = 0 if self._workers is None else self._workers.lost
        return lost + sum(each.lost_workers for each in (self.whole, *self._pieces))

    def together(self, plan_evaluator: PlanEvaluator) -> Together:
        """Which plans are trained and scored at a time; workers are started where other processes do that."""
        plans = plans_together(self._problem, plan_evaluator.preparation) or 1
        elsewhere = self._elsewhere(plan_evaluator.preparation)
        if elsewhere is None:
            return Together(plans)
        plan_evaluator.work_elsewhere(elsewhere)
        return Together(plans, plan_evaluator.evaluate_lists, elsewhere.at_once, elsewhere.count)

    def _elsewhere(self, preparation: Preparation) -> CandidatesElsewhere | None:
        """What gives candidates their weights and scores them in other processes; None where none is to."""
        problem, workers = self._problem, self._workers
        if workers is None or not isinstance(preparation, InGroups):
            return None
        curves = preparation.curves if isinstance(preparation, KeepsTraining) else None
        scoring = Scoring(problem.part, self.whole.batch_size, problem.own_metrics)
        self.callback(workers.close)
        floats = None
        if isinstance(preparation, InFolds):  # they are trained here, once
            floats = MadeWeights((preparation.float_weights,)).packed()
        workers.start(CandidateWork(problem.preparation, problem.subject, scoring, curves, floats))
        return CandidatesElsewhere(preparation, workers, len(problem.part))


def build_plan_evaluator(problem: Problem, evaluator: Evaluator) -> PlanEvaluator:
    """What scores a problem's plans."""
    is_learned = problem.preparation.proposes  # its training says what plans cost
    measured = [] if is_learned else sorted(problem.seen_metrics & set(ARTEFACT_METRICS))
    proxies = [] if is_learned else sorted(problem.seen_metrics & PROXIES.keys())
    return PlanEvaluator(
        build_preparation(problem.preparation, problem.subject),
        evaluator,
        loss=LOSS in problem.seen_metrics,
        own_metrics=problem.own_metrics,
        artefacts=Artefacts(problem, evaluator.program) if measured else None,
        measured=measured,
        untrained=UntrainedPlans(problem, proxies) if proxies else None,
    )


def plans_together(problem: Problem, preparation: Preparation) -> int | None:
    """Plans that are proposed at a time; fewer where the sampler learns from their results."""
    most = preparation.together
    if most is None or problem.options.sampler in ENUMERATIONS:
        return most
    return min(most, LEARNING_TOGETHER)


def _workers(problem: Problem, say: Say) -> Workers | None:
    return build_workers(replace(problem.backend, jobs=problem.backend.processes), say)


def _shared(problem: Problem, say: Say) -> ByPart | None:
    """Workers for all parts of the samples, where there is but one for each core of a cluster."""
    is_ray = problem.backend.chosen_name == "ray"
    workers = build_workers(problem.backend, say) if is_ray and problem.shares_weights else None
    return None if workers is None else ByPart(workers)


def _evaluator(
    problem: Problem, part: Part, batch_size: int, cache_bytes: int, say: Say, shared: Backend | None = None
) -> Evaluator:
    settings = problem.backend if problem.shares_weights else BackendSettings()
    return Evaluator(
        problem.subject.lowered,
        part,
        batch_size=batch_size,
        own_metrics=problem.own_metrics,
        cache_bytes=cache_bytes // settings.processes,
        backend=shared or build_backend(replace(settings, jobs=settings.processes), say),
    )
