"""What a search records of how its candidates did while they were trained."""

from narrower.evaluate.evaluator import Evaluator
from narrower.preparation.preparation import KeepsTraining, Preparation
from narrower.report.curves import NAME, Curve, CurvesRecord, Epoch
from narrower.report.record import RunRecord
from narrower.store.files import write_json
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.problem import Problem
from narrower.tasks.task import leading


def record_curves(
    problem: Problem,
    run: RunDirectory,
    store: TrialStore,
    preparation: Preparation,
    evaluator: Evaluator,
    record: RunRecord,
) -> None:
    """Where candidates were trained: the curves of all trials, and what members have without training."""
    if not isinstance(preparation, KeepsTraining):
        return
    members = {member.number for member in record.members}
    metric, found = leading(problem.data.task).name, []
    for trial in store.trials():
        plan = problem.space.plan(problem.space.options_at(trial.plan_index))
        rows = None if preparation.curves is None else preparation.curves.of(plan)
        if rows is None:  # taken over from another run, or not trained to the end
            continue
        untrained = None
        if trial.number in members:
            (quality,) = evaluator.evaluate([plan.formats])
            untrained = quality.metrics.get(metric)
        epochs = tuple(Epoch(*row) for row in rows)
        found.append(Curve(trial.number, epochs, trial.number in members, untrained))
    write_json(run.path / NAME, CurvesRecord(metric, tuple(found)).to_dict())
