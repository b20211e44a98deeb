"""Where a run keeps the weights of candidates that were trained before they were scored."""

from narrower.preparation.curves import Curves
from narrower.preparation.preparation import KeepsTraining, Preparation
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.problem import Problem

DIRECTORY, CURVES = "candidates", "curves"


def keep_weights(problem: Problem, run: RunDirectory, store: TrialStore, preparation: Preparation) -> None:
    """Let a preparation that trains keep them below the run, and go on with those of the recorded trials."""
    if not isinstance(preparation, KeepsTraining):
        return
    trials = list(store.trials())
    plans = [problem.space.plan(problem.space.options_at(trial.plan_index)) for trial in trials]
    failed = [plan for plan, trial in zip(plans, trials, strict=True) if trial.state == "failed"]
    preparation.keep_in(run.path / DIRECTORY, plans, failed)
    preparation.curves = Curves(problem.part, run.path / CURVES)
