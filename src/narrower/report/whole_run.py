"""The record of a run whose files belong together; what is mixed from several searches is refused."""

from collections.abc import Callable

from narrower.errors import RunError
from narrower.report.read_record import read_record
from narrower.report.record import Member, RunRecord
from narrower.searching.recorded_space import RecordedSpace, recorded_space
from narrower.store.run_directory import RunDirectory
from narrower.store.run_files import compare_files
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore


def read_whole_run(run: RunDirectory, say: Callable[[str], object]) -> RunRecord:
    """Read the record of a search after comparing it with the trials, and these with the other files.

    ``say`` is told what could not be compared.

    Raises:
        RunError: there is no record, a file cannot be read, or the files do not belong together.
    """
    record = read_record(run)
    with TrialStore.open(run.trials, read_only=True) as store:
        facts = store.facts()
        for note in compare_files(run, facts):
            say(note)
        lacking = [o["metric"] for o in record.objectives if o["metric"] not in store.metrics]
        if lacking:
            raise RunError(
                f"{run.path}: the files do not belong together: {run.front.name} has the objective "
                f"{lacking[0]}, which {run.trials.name} does not have"
            )
        space = recorded_space(facts, run.trials)
        trials = list(store.trials([member.number for member in record.members]))
    for member, trial in zip(record.members, trials, strict=True):
        if (difference := _difference(member, trial, space)) is not None:
            raise RunError(
                f"{run.path}: the files do not belong together: trial {member.number} has {difference} in "
                f"{run.front.name} than in {run.trials.name}; write the front again: "
                f"narrower search --resume {run.path}"
            )
    return record


def _difference(member: Member, trial: Trial, space: RecordedSpace) -> str | None:
    """What a member and its trial do not agree in."""
    if member.plan_index != trial.plan_index or member.plan != space.plan(trial.plan_index):
        return "another plan"
    for name, value in trial.metrics.items():
        if name != "loss" and member.metrics.get(name) != value:  # the loss of members is measured anew
            return f"another {name}"
    return None
