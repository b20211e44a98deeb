"""What a run writes down of what it searches, and whether that still holds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from narrower.errors import DivergedError, RunError
from narrower.evaluate.backends.devices_here import device_words, resolved_device
from narrower.evaluate.batch_size import fitting_batch_size
from narrower.models.arguments import arguments_note
from narrower.models.checkpoints import save_weights
from narrower.models.finite import check_finite
from narrower.plan.plan import Plan
from narrower.preparation.settings import STARTED_FROM, is_by_plan_alone
from narrower.searching.earlier_results import earlier_results
from narrower.searching.objective import ARTEFACT_METRICS, COSTS, PROXIES, is_quality
from narrower.searching.space_record import SPACE_FACT, describe_space
from narrower.store.files import write_text
from narrower.store.provenance import changed_versions, environment
from narrower.store.run_directory import RunDirectory, list_runs
from narrower.store.run_files import WEIGHTS_FACT, file_facts
from narrower.store.trials import TrialStore
from narrower.study.problem import Problem, Say
from narrower.study.threads import THREADS
from narrower.tasks.own.content import content_of
from narrower.tasks.quality import Quality
from narrower.tasks.task import leading, spread_name

MERGED_FACT = "merged from"
THREADS_FACT, BATCH_SIZE_FACT, PROPOSALS_FACT = "threads", "batch size", "proposals at a time"
DEVICE_FACT = "device"  # where it is not the CPU


def begin_run(problem: Problem, run: RunDirectory, settings: str) -> TrialStore:
    """Write down what is searched, so that the run can be resumed and reproduced.

    ``settings`` is the content of ``settings.toml``.

    Raises:
        RunError: a search lies here already; nothing is written.
        ModelError: the model gives no numbers; nothing is written.
        OutputError: it cannot be written.
    """
    if run.trials.exists():
        raise RunError(f"{run.trials}: holds a search already")
    if problem.preparation.needs_weights:
        check_finite(problem.model, problem.part, f"the {problem.part_name} part")
    batch_size = fitting_batch_size(problem.subject.lowered, len(problem.part))
    write_text(run.settings, settings)
    save_weights(problem.model, run.weights, arguments_note(problem.subject.examples))
    costs = [name for name, metric in COSTS.items() if metric.kind == "cost"]
    measured = sorted(problem.seen_metrics & {*ARTEFACT_METRICS, *PROXIES})
    task = problem.data.task
    spread = [spread_name(task)] if problem.preparation.seeds > 1 else []
    start = [] if is_by_plan_alone(problem.preparation) else [STARTED_FROM]
    return TrialStore.create(
        run.trials,
        [
            *(metric.name for metric in task.metrics),
            *problem.own_metrics,
            *spread,
            *start,
            *measured,
            *costs,
        ],
        {
            **fingerprint(problem),
            **{
                name: value
                for name, value in conditions(problem, batch_size, THREADS).items()
                if value is not None
            },
            **file_facts(run),
            SPACE_FACT: describe_space(problem.space),
            "sample count": problem.samples,
            "environment": environment(),
            "model": problem.model_name,
        },
    )


def fingerprint(problem: Problem) -> dict[str, str]:
    """Content hashes of everything that a run's trials depend on."""
    return {"space": problem.space.content_hash, **_scored_on(problem)}


def _scored_on(problem: Problem) -> dict[str, str]:
    own = content_of(problem.data.task)
    return {
        **({} if own is None else {"task": own}),
        "model weights": problem.program.content_hash,
        "data set": problem.data.content_hash,
        "samples": f"{problem.part_name}[:{len(problem.part)}]",
        "retraining": repr(problem.preparation),
    }


def conditions(problem: Problem, batch_size: int, threads: int) -> dict[str, Any]:
    """What two searches must have in common for their results to be the same bit for bit."""
    return {
        **_scored_on(problem),
        BATCH_SIZE_FACT: batch_size,
        THREADS_FACT: threads,
        DEVICE_FACT: _device(problem),
    }


def _device(problem: Problem) -> str | None:
    """Which accelerator scores the plans; None for the CPU, on which trained candidates always are."""
    if not problem.shares_weights or problem.backend.chosen_name != "device":
        return None
    device = resolved_device(problem.backend.device)
    return None if device == "cpu" else device_words(device)


@contextmanager
def resumed_run(problem: Problem, run: RunDirectory, *, say: Say) -> Iterator[TrialStore]:
    """The trials of a run that goes on, and whose space, model and data are as they were."""
    with TrialStore.open(run.trials) as store:
        check_unchanged(problem, run, store)
        if changed := changed_versions(store.facts().get("environment")):
            say(f"not with the versions that the run began with: {', '.join(changed)}")
        yield store


def check_made_of(problem: Problem, run: RunDirectory, facts: Mapping[str, object]) -> None:
    """Refuse to make something of a run with another space, other data or other weights than it searched.

    Raises:
        RunError: with what differs.
    """
    names = ["space", "data set"] if WEIGHTS_FACT in facts else ["space", "data set", "model weights"]
    found = fingerprint(problem)
    changed = [name for name in names if facts.get(name) != found[name]]
    if changed:
        raise RunError(
            f"{run.path}: {' and '.join(changed)} (by {run.settings.name} and {run.weights.name}) are not "
            "those that were searched; what would be made of them is not what was scored"
        )


def check_unchanged(problem: Problem, run: RunDirectory, store: TrialStore) -> None:
    """Refuse to go on with a run whose space, model or data have changed; its files are recorded anew.

    Raises:
        RunError: with what has changed.
    """
    recorded = store.facts()
    if MERGED_FACT in recorded:
        raise RunError(f"{run.path}: merged from other runs; go on with those, and merge them again")
    for name, value in fingerprint(problem).items():
        if recorded.get(name) != value:
            raise RunError(f"the {name} of the run has changed since it began; start a new run instead")
    if (before := recorded.get(DEVICE_FACT)) != (now := _device(problem)):
        raise RunError(
            f"{run.path}: its trials were scored on {before or 'cpu'}, not on {now or 'cpu'}, which rounds "
            "sums otherwise; go on with that --device, or start a new run"
        )
    for name, content in file_facts(run).items():  # its budget may have been changed
        store.set_fact(name, content)


def results_beside(problem: Problem, run: RunDirectory, batch_size: int, say: Say) -> dict[Plan, Quality]:
    """What the runs beside this one measured under the same conditions.

    Nothing of plans of several trainings, whose spread is not recorded with them, nor of plans that depend on
    those before them.
    """
    if problem.preparation.seeds > 1 or not is_by_plan_alone(problem.preparation):
        return {}
    quality = [name for name in problem.seen_metrics if is_quality(name)]
    task = problem.data.task
    others = [other for other in list_runs(run.path.parent) if other.path.resolve() != run.path.resolve()]
    same = conditions(problem, batch_size, torch.get_num_threads())
    return earlier_results(others, same, task, {leading(task).name, *quality, *problem.own_metrics}, say)


def whole_number(facts: Mapping[str, object], name: str) -> int:
    """A fact that is a whole number.

    Raises:
        RunError: the run does not have it.
    """
    value = facts.get(name)
    if not isinstance(value, int):
        raise RunError(f"the run does not say its {name}; it was written by another version of narrower")
    return value


def proposals_at_a_time(store: TrialStore, wanted: int) -> int:
    """How many plans a run asks its sampler for at a time: with another number, it might propose others."""
    if PROPOSALS_FACT not in store.facts():
        store.set_fact(PROPOSALS_FACT, wanted)
    return whole_number(store.facts(), PROPOSALS_FACT)


def not_repeated(error: DivergedError, sampler: str, facts: Mapping[str, object]) -> RunError:
    """What is said where a sampler does not propose once more what a run recorded."""
    changed = ", ".join(changed_versions(facts.get("environment"))) or "no version that is recorded"
    return RunError(f"{error}: the {sampler} sampler does not repeat itself; changed since then: {changed}")
