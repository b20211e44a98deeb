"""Results of earlier searches that a new one can take over."""

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

from narrower.errors import NarrowerError
from narrower.plan import Plan, plan_from_dict
from narrower.quality import Quality
from narrower.searching.space import Fragment, Space, merged
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.tasks.quality import check_share
from narrower.tasks.task import Task

SPACE_FACT = "space slots"


def describe_space(space: Space) -> list[list[dict[str, dict[str, str | float]]]]:
    """The parts of the plan that each slot's options give: enough to read a plan's number back."""
    return [list(slot.option_tables) for slot in space.slots]


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
    slots: Any = facts.get(SPACE_FACT)
    samples: Any = facts.get("sample count")
    if not isinstance(slots, list) or not isinstance(samples, int):
        return
    options = [[plan_from_dict(tables).layers for tables in slot] for slot in slots]
    for trial in store.trials():
        if trial.state != "complete" or any(name not in trial.metrics for name in metrics):
            continue
        index = trial.plan_index
        if not 0 <= index < prod(map(len, options)):
            raise ValueError(f"there is no plan {index}")
        for metric in task.metrics:
            if metric.name in trial.metrics:
                check_share(metric, trial.metrics[metric.name], samples, f"of trial {trial.number}")
        fragments: list[Fragment] = []
        for slot in reversed(options):
            index, digit = divmod(index, len(slot))
            fragments.append(slot[digit])
        names = [*(metric.name for metric in task.metrics), *(name for name in metrics if ":" in name)]
        found = {name: trial.metrics[name] for name in names if name in trial.metrics}
        yield Plan(merged(fragments)), Quality(samples, found)
