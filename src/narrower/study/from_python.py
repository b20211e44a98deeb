"""A problem that was put together from Python values, searched; what a command would print is a warning."""

import warnings
from contextlib import nullcontext
from pathlib import Path

from narrower.errors import SettingsError
from narrower.searching.objective import ARTEFACT_METRICS
from narrower.store.run_directory import RunDirectory
from narrower.study import study
from narrower.study.possible import check_options
from narrower.study.problem import Problem
from narrower.study.result import SearchResult, passing_directory
from narrower.study.run_facts import begin_run

WHO_ASKED = 4  # frames up: this function, the one that poses, its decorator, the user's


def searched(problem: Problem, directory: Path | str | None, note: str) -> SearchResult:
    """Search, and write the run where a directory is given; ``note`` stands in the place of its settings.

    Raises:
        SettingsError: it cannot be searched as it is asked for, or the directory holds a run.
    """
    for metric in problem.options.measure_front:
        if metric not in ARTEFACT_METRICS:
            raise SettingsError(f"measure_front: found {metric!r}; allowed: {', '.join(ARTEFACT_METRICS)}")
    check_options(problem)
    for sentence in problem.notes:
        warnings.warn(sentence, stacklevel=WHO_ASKED)
    run = RunDirectory(Path(directory)) if directory is not None else passing_directory()
    with run.locked():
        if run.trials.exists():
            raise SettingsError(f"{run.path} holds a search already; choose another directory")
        with begin_run(problem, run, note) as store:
            record = study.search(problem, run, store, show_progress=lambda _: nullcontext(_no_progress))
    return SearchResult(record, problem, run)


def _no_progress(_done: int, _front: int) -> None:
    pass
