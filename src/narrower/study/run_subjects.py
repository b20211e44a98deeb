"""Plans of a finished run with the model, weights and data that they were scored with."""

from collections.abc import Callable, Sequence

from narrower.errors import RunError, SettingsError
from narrower.export.compressed import load_parts
from narrower.export.subject import Subject
from narrower.plan.plan import plan_from_dict, plan_to_dict
from narrower.report.finetuned import read_finetuned
from narrower.report.whole_run import read_whole_run
from narrower.searching.recorded_space import recorded_space
from narrower.settings.load import load_settings
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.pose import pose
from narrower.study.problem import given_weights
from narrower.study.run_facts import check_made_of


def run_subjects(
    run: RunDirectory, numbers: Sequence[int] | None = None, *, say: Callable[[str], None]
) -> list[Subject]:
    """Plans of a run with its model, weights and data; None: its whole front.

    Raises:
        RunError: there is no such trial, or its weights were not kept.
    """
    record = read_whole_run(run, say)
    wanted = [member.number for member in record.members] if numbers is None else list(numbers)

    try:
        settings = load_settings(run.settings).settings
    except SettingsError as error:
        raise RunError(
            f"{run.path}: a search from Python does not keep its model: export it with "
            f"narrower.export.deliver.export_plan ({error})"
        ) from error
    with TrialStore.open(run.trials, read_only=True) as store:
        facts, total = store.facts(), store.count()
        for number in wanted:
            if number >= total:
                raise RunError(f"{run.path}: no trial {number}; there are {total:,}, from 0 to {total - 1:,}")
        found = list(store.trials(wanted))
    problem = given_weights(pose(settings), run.weights)
    check_made_of(problem, run, facts)
    space = recorded_space(facts, run.trials)
    plans = {trial.number: plan_from_dict(space.plan(trial.plan_index)) for trial in found}
    if problem.shares_weights:
        tuned = read_finetuned(run)
        files = {m.number: run.path / m.weights for m in tuned.members if m.weights} if tuned else {}
        for number in sorted(files.keys() & set(wanted)):
            say(f"trial {number}: with the weights that it has after training in its formats")
        models = {n: load_parts(files[n], problem.model)[0] if n in files else problem.model for n in wanted}
        return [Subject(models[n], problem.model_name, plans[n], problem.data, n) for n in wanted]
    kept = {n: run.member(n) for n in wanted}
    for number, path in kept.items():
        if not path.is_file():
            raise RunError(
                f"{run.path}: trial {number} had weights of its own, and only those of the front's "
                "members are kept (narrower show lists them)"
            )
    subjects = []
    for number, path in kept.items():
        model, stored = load_parts(path, problem.model)
        if plan_to_dict(stored) != plan_to_dict(plans[number]):
            raise RunError(f"{path}: holds another plan than trial {number} of {run.trials.name}")
        subjects.append(Subject(model, problem.model_name, stored, problem.data, number))
    return subjects
