"""A study by hand: ask for plans, score them anywhere, tell what they reached, take the front."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from torch import nn

from narrower.data.datasets import Given
from narrower.errors import RunError, SettingsError
from narrower.evaluate.evaluator import CACHE_BYTES
from narrower.searching.by_hand import AskedPlan, HandLoop
from narrower.searching.known import Known
from narrower.searching.objective import is_cost
from narrower.searching.options import SearchOptions
from narrower.searching.samplers.build import build_sampler
from narrower.searching.samplers.catalogue import canonical_sampler
from narrower.store.files import write_json
from narrower.store.run_directory import RunDirectory
from narrower.study.api import pose_search
from narrower.study.arguments import spoken_of_arguments
from narrower.study.evaluators import Evaluators, build_plan_evaluator
from narrower.study.from_python import WHO_ASKED, warn_of
from narrower.study.possible import check_options
from narrower.study.problem import Problem
from narrower.study.record import examine_front
from narrower.study.result import SearchResult, passing_directory
from narrower.study.run_facts import BATCH_SIZE_FACT as BATCH_SIZE
from narrower.study.run_facts import begin_run, whole_number
from narrower.study.threads import THREADS
from narrower.tasks.task import leading

NOTE = "# A study by hand; no settings file.\n"


class Study:
    """A search that waits for its caller: ``ask`` for plans, ``score`` or measure them, ``tell``, ``result``.

    Metrics that a plan is told of are those of its objectives that do not follow from network and plan, and
    the leading metric of the task: ``{"accuracy": 0.71, "latency": 84e-6}`` of your own board, say.
    """

    @spoken_of_arguments()
    def __init__(  # noqa: PLR0913 - what is searched, and how
        self,
        model: nn.Module | str,
        data: Given,
        space: Mapping[str, Mapping[str, Sequence[Any]]],
        objectives: Sequence[str] | Mapping[str, str],
        *,
        by: Literal["name", "type", "regex"] = "name",
        constraints: Mapping[str, tuple[float | None, float | None]] | None = None,
        sampler: str = "guided",
        samples: int | None = None,
        seed: int = 0,
        directory: Path | str | None = None,
    ) -> None:
        """The arguments are those of ``narrower.search``.

        Raises:
            NarrowerError: what is asked for cannot be searched.
        """
        problem = pose_search(
            model, data, space, objectives, by=by, constraints=constraints, samples=samples, seed=seed
        )
        options = SearchOptions(canonical_sampler(sampler), problem.space.size, seed=seed)
        self._problem: Problem = replace(problem, options=options)
        check_options(self._problem)
        warn_of(self._problem, WHO_ASKED - 1)
        self._run = RunDirectory(Path(directory)) if directory is not None else passing_directory()
        self._started = time.monotonic()
        with ExitStack() as opened:
            opened.enter_context(self._run.locked())
            if self._run.trials.exists():
                raise SettingsError(f"{self._run.path} holds a search already; choose another directory")
            self._store = opened.enter_context(begin_run(self._problem, self._run, NOTE))
            self._open = opened.pop_all()
        batch_size = whole_number(self._store.facts(), BATCH_SIZE)
        self._evaluators = Evaluators(self._problem, batch_size, CACHE_BYTES, THREADS, lambda _text: None)
        self._plans = build_plan_evaluator(self._problem, self._evaluators.whole)
        known = Known(self._problem.costs, self._problem.objectives, self._problem.constraints)
        chosen = build_sampler(
            options.sampler, self._problem.space, seed=seed, wanted=self._problem.space.size, known=known
        )
        self._loop = HandLoop(
            self._problem.space,
            self._problem.costs,
            chosen,
            self._problem.objectives,
            self._problem.constraints,
            self._store,
        )

    @property
    def trials(self) -> int:
        """How many plans were told of."""
        return self._loop.tally.trials

    @property
    def wanted(self) -> tuple[str, ...]:
        """The metrics that every plan must be told with."""
        measured = [o.metric for o in self._problem.objectives.each if not is_cost(o.metric)]
        return tuple(dict.fromkeys([leading(self._problem.data.task).name, *measured]))

    def ask(self, count: int = 1) -> list[AskedPlan]:
        """Up to ``count`` new plans; fewer where the sampler has no more, none at its end."""
        return self._loop.ask(count)

    def model(self, asked: AskedPlan) -> nn.Module:
        """The network of a plan that was asked for, as it would run."""
        from narrower.export.loaded import deployed_model

        return deployed_model(self._problem.model, asked.plan, self._problem.data.examples)

    def score(self, asked: Sequence[AskedPlan]) -> list[dict[str, float]]:
        """What a search measures of these plans, many at once; to be told as it is, or with values of yours.

        Raises:
            RunError: a plan cannot be scored.
        """
        with self._evaluators:
            qualities = self._plans.evaluate([one.plan for one in asked])
        for one, quality in zip(asked, qualities, strict=True):
            if quality.failure is not None:
                raise RunError(f"plan {one.number} cannot be scored: {quality.failure}")
        return [dict(quality.metrics) for quality in qualities]

    def tell(self, asked: AskedPlan, metrics: Mapping[str, float]) -> int:
        """Record what a plan reached, and return the number of its trial.

        Raises:
            SettingsError: a metric is missing, unknown or no number, or the plan waits for nothing.
        """
        missing = [name for name in self.wanted if name not in metrics]
        if missing:
            raise SettingsError(f"plan {asked.number}: {' and '.join(missing)} missing in what it is told")
        allowed = [name for name in self._store.metrics if not is_cost(name)]
        for name, value in metrics.items():
            if name not in allowed:
                raise SettingsError(f"plan {asked.number}: {name!r}: allowed are {', '.join(allowed)}")
            if not isfinite(value):
                raise SettingsError(f"plan {asked.number}: {name}: found {value}; expected a finite number")
        return self._loop.tell(asked, {name: float(value) for name, value in metrics.items()})

    def fail(self, asked: AskedPlan, reason: str) -> int:
        """Record that a plan could not be measured, and why."""
        return self._loop.tell(asked, None, reason)

    def result(self) -> SearchResult:
        """The front of what was told, looked at on the test part as after a search; the study goes on.

        Raises:
            RunError: no plan was told of.
        """
        if self.trials == self._loop.tally.failed:
            raise RunError("the study has no plan that reached something: tell it of one first")
        self._store.commit()
        self._loop.tally.exhausted = self.trials == self._problem.space.size
        self._loop.tally.stopped = "complete" if self._loop.tally.exhausted else "n_trials"
        with self._evaluators as evaluators:
            record = examine_front(
                self._problem,
                self._loop,
                self._store,
                evaluators.whole,
                self._plans,
                self._run,
                self._started,
            )
        write_json(self._run.front, record.to_dict())
        return SearchResult(record, self._problem, self._run)

    def close(self) -> None:
        """Bring everything to disk and let the run go."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
