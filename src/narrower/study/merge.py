"""Several runs of one problem, such as the parts of a search, become one run with one front."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from narrower.errors import RunError
from narrower.searching.known import Known
from narrower.searching.samplers.build import build_sampler
from narrower.searching.samplers.catalogue import ENUMERATIONS
from narrower.searching.samplers.share import Recorded, all_proposals
from narrower.store.run_directory import RunDirectory
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore
from narrower.study.problem import Problem
from narrower.study.run_facts import MERGED_FACT, fingerprint

CONDITIONS = ("batch size", "threads")


def read_trials(problem: Problem, runs: Sequence[RunDirectory]) -> dict[int, Trial]:
    """The trials of all runs by the number of their plan, in the order of the runs; each plan once.

    Raises:
        RunError: a run is of another problem, or two runs do not say the same of a plan.
    """
    expected: dict[str, object] = dict(fingerprint(problem))
    found: dict[int, Trial] = {}
    for run in runs:
        with TrialStore.open(run.trials, read_only=True) as store:
            facts = store.facts()
            expected |= {name: facts.get(name) for name in CONDITIONS if name not in expected}
            changed = [name for name, value in expected.items() if facts.get(name) != value]
            if changed:
                raise RunError(f"{run.path}: its {' and '.join(changed)} are not those of {runs[0].path}")
            for trial in store.trials():
                other = found.setdefault(trial.plan_index, trial)
                if (other.state, other.metrics) != (trial.state, trial.metrics):
                    raise RunError(
                        f"{run.path}: trial {trial.number} found other values for plan {trial.plan_index} "
                        "than a run before it; they were not scored under the same conditions"
                    )
    if not found:
        raise RunError("there is no trial in any of these runs")
    return found


def in_order(problem: Problem, trials: Mapping[int, Trial]) -> list[int]:
    """The plans in the order in which one search would have tried them, or else in that of the runs."""
    if problem.options.sampler not in ENUMERATIONS:
        return list(trials)
    sampler = build_sampler(
        problem.options.sampler,
        problem.space,
        seed=problem.options.seed,
        wanted=problem.wanted_trials,
        known=Known(problem.costs, problem.objectives, problem.constraints),
    )
    proposed = (problem.space.index_of(options) for options in all_proposals(sampler))
    order = [index for index in proposed if index in trials]
    return order if len(order) == len(trials) else list(trials)


def add_trials(
    problem: Problem, store: TrialStore, trials: Mapping[int, Trial], runs: Sequence[RunDirectory]
) -> tuple[Problem, Recorded]:
    """Write the trials into a new run; the problem and the sampler with which a search repeats them."""
    order = in_order(problem, trials)
    store.append(
        [
            (
                number,
                index,
                trials[index].state,
                trials[index].reason,
                trials[index].seconds,
                trials[index].finished,
                tuple(trials[index].metrics.get(name) for name in store.metrics),
            )
            for number, index in enumerate(order)
        ]
    )
    store.set_fact(MERGED_FACT, [str(run.path) for run in runs])
    options = replace(problem.options, trials=len(order))
    return replace(problem, options=options), Recorded(problem.space, order)
