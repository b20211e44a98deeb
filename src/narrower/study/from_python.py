"""A problem that was put together from Python values, searched; what a command would print is a warning."""

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from narrower.errors import SettingsError
from narrower.searching.objective import ARTEFACT_METRICS
from narrower.searching.samplers.sampler import Sampler
from narrower.store.run_directory import RunDirectory
from narrower.store.trackers.catalogue import build_trackers
from narrower.store.trackers.tracker import Tracker, TrackerSettings
from narrower.study import study
from narrower.study.possible import check_options
from narrower.study.problem import Problem
from narrower.study.result import SearchResult, passing_directory
from narrower.study.run_facts import begin_run
from narrower.study.tracked import NOBODY, Callback, Followers

WHO_ASKED = 5  # frames up: warn_of, its caller, the one that was asked, its decorator, the user's


def followers_of(
    callbacks: Sequence[Callback], trackers: Sequence[str | Tracker] | TrackerSettings
) -> Followers:
    """Who is told of the trials: functions, and trackers by name or as they are.

    Raises:
        UnknownNameError: there is no such tracker.
        MissingExtraError: what it needs is not installed.
    """
    if isinstance(trackers, TrackerSettings):
        return Followers(build_trackers(trackers), tuple(callbacks))
    named = build_trackers(TrackerSettings(tuple(one for one in trackers if isinstance(one, str))))
    own = [one for one in trackers if not isinstance(one, str)]
    numbered = {f"{type(one).__name__} {number}": one for number, one in enumerate(own, start=1)}
    return Followers(named | numbered, tuple(callbacks))


def searched(
    problem: Problem,
    directory: Path | str | None,
    note: str,
    followers: Followers = NOBODY,
    brain: object | None = None,
) -> SearchResult:
    """Search, and write the run where a directory is given; ``note`` stands in the place of its settings.

    ``brain`` is a sampler of Optuna, in the place of the one that the options name.

    Raises:
        SettingsError: it cannot be searched as it is asked for, or the directory holds a run.
    """
    for metric in problem.options.measure_front:
        if metric not in ARTEFACT_METRICS:
            raise SettingsError(f"measure_front: found {metric!r}; allowed: {', '.join(ARTEFACT_METRICS)}")
    check_options(problem)
    warn_of(problem, WHO_ASKED)
    run = RunDirectory(Path(directory)) if directory is not None else passing_directory()
    with run.locked():
        if run.trials.exists():
            raise SettingsError(f"{run.path} holds a search already; choose another directory")
        with begin_run(problem, run, note) as store:
            record = study.search(
                problem,
                run,
                store,
                show_progress=lambda _: nullcontext(_no_progress),
                say=_warn,
                followers=followers,
                sampler=None if brain is None else given_sampler(brain, problem),
            )
    return SearchResult(record, problem, run)


def given_sampler(brain: object, problem: Problem) -> Sampler:
    """A sampler of Optuna as one of ours.

    Raises:
        SettingsError: it is none.
    """
    from narrower.searching.samplers.optuna_samplers import sampler_of_optuna  # brings in Optuna

    return sampler_of_optuna(brain, problem.space, problem.objectives.count)


def warn_of(problem: Problem, frames: int) -> None:
    """Warn of what a command would say before the first trial; ``frames`` up is who asked."""
    for sentence in problem.notes:
        warnings.warn(sentence, stacklevel=frames)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _no_progress(_done: int, _front: int) -> None:
    pass
