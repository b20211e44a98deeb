"""Results of earlier searches that a new one can take over."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from narrower.errors import NarrowerError
from narrower.plan.plan import Plan, plan_from_dict
from narrower.searching.recorded_space import recorded_space
from narrower.searching.space import merged
from narrower.searching.space_record import SPACE_FACT
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.tasks.quality import Quality, check_share
from narrower.tasks.task import Task


def earlier_results(
    runs: Iterable[RunDirectory],
    conditions: Mapping[str, object],
    task: Task,
    metrics: Iterable[str],
    say: Callable[[str], object],
) -> dict[Plan, Quality]:
    """What runs under the same conditions (facts of the store) measured, by plan.

    Only complete trials with all of the quality ``metrics`` count; a run that cannot be read is passed over,
    which ``say`` is told.
    """
    found: dict[Plan, Quality] = {}
    for run in runs:
        try:
            with TrialStore.open(run.trials, read_only=True) as store:
                facts = store.facts()
                if all(facts.get(name) == value for name, value in conditions.items()):
                    found.update(dict(_results(store, facts, task, tuple(metrics))))
        except NarrowerError as error:
            say(f"an earlier run is passed over: {error}")
        except (ValueError, KeyError) as error:
            say(f"an earlier run is passed over: {run.trials}: damaged: {error}")
    return found


def _results(
    store: TrialStore, facts: Mapping[str, object], task: Task, metrics: tuple[str, ...]
) -> Iterable[tuple[Plan, Quality]]:
    samples: Any = facts.get("sample count")
    if not isinstance(facts.get(SPACE_FACT), list) or not isinstance(samples, int):
        return
    space = recorded_space(facts, store.path)
    options = [[plan_from_dict(tables).layers for tables in slot] for slot in space.slots]
    complete = [
        trial
        for trial in store.trials()
        if trial.state == "complete" and all(name in trial.metrics for name in metrics)
    ]
    chosen = space.options([trial.plan_index for trial in complete]).tolist()
    for trial, row in zip(complete, chosen, strict=True):
        for metric in task.metrics:
            if metric.name in trial.metrics:
                check_share(metric, trial.metrics[metric.name], samples, f"of trial {trial.number}")
        fragments = [slot[option] for slot, option in zip(options, row, strict=True)]
        names = [*(metric.name for metric in task.metrics), *(name for name in metrics if ":" in name)]
        found = {name: trial.metrics[name] for name in names if name in trial.metrics}
        yield Plan(merged(fragments)), Quality(samples, found)
