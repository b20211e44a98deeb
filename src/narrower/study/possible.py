"""Whether a problem can be searched as its settings ask: bounds, samplers, metrics, backends."""

from importlib.util import find_spec
from math import inf

from narrower.errors import MissingExtraError, Mistakes, SettingsError, nearest
from narrower.evaluate.backends.devices_here import resolved_device
from narrower.preparation.learning.settings import LEARNED_COSTS
from narrower.preparation.settings import CrossValidatedSettings, LearnedSettings
from narrower.searching.objective import ARTEFACT_METRICS, COSTS, is_cost, listed_metric
from narrower.searching.space import MOST_LISTED
from narrower.study.expressible import check_expressible
from narrower.study.problem import Problem
from narrower.study.sensitivity_start import check_sensitivity_first
from narrower.study.untrained_plans import check_proxies
from narrower.tasks.catalogue import metrics_of, task_metrics
from narrower.tasks.task import Direction, leading
from narrower.training.untrained import untrained

STRATEGY = "search.strategy"
MOST_ENUMERATED = 10**9  # plans; at 10,000 a second they take more than a day


def check_possible(problem: Problem) -> None:
    """Check that no bound on a cost excludes every plan on its own.

    Raises:
        SettingsError: beginning with the keys of the bounds.
    """
    if _is_learned(problem):
        return  # what its plans cost shows when they are found
    mistakes, ranges = Mistakes(), problem.costs.ranges()
    for constraint in problem.constraints:
        low, high = ranges.get(constraint.metric, (-inf, inf))
        for name, bound, excludes_all in (
            ("min", constraint.minimum, constraint.minimum is not None and constraint.minimum > high),
            ("max", constraint.maximum, constraint.maximum is not None and constraint.maximum < low),
        ):
            if excludes_all:
                mistakes.found.append(
                    f"{STRATEGY}.constraints.{constraint.metric}.{name}: found {bound:g}, which no plan "
                    f"meets: the plans of this space have {low:g} to {high:g}"
                )
    mistakes.check()


def check_options(problem: Problem) -> None:
    """Check that what is to be measured can be, and that plans can be dropped early where that is asked for.

    Raises:
        SettingsError: beginning with the keys.
    """
    mistakes = Mistakes()
    usual = (
        _check_task,
        _check_countable,
        _check_measurable,
        check_proxies,
        check_expressible,
        _check_bounded,
        _check_folds,
        check_sensitivity_first,
        check_backend,
    )
    checks = (_check_task, _check_learned) if _is_learned(problem) else usual
    for check in checks:
        with mistakes.about():
            check(problem)
    mistakes.check()


def check_backend(problem: Problem) -> None:
    """Check that plans can be scored where the options say.

    Raises:
        SettingsError: they cannot be dropped early there, or the device is not here.
        MissingExtraError: Ray is not installed.
    """
    name = problem.backend.chosen_name
    if name not in ("ray", "device"):
        return
    if name == "ray":
        if find_spec("ray") is None:
            raise MissingExtraError("ray", "ray", "the backend 'ray'")
        return
    resolved_device(problem.backend.device)
    if problem.options.drop_dominated:
        raise SettingsError(
            f"{STRATEGY}.setup.drop_dominated: an accelerator scores all samples at once; take another "
            f"backend than {name!r}, or drop_dominated = false"
        )


def _check_task(problem: Problem) -> None:
    """Whether what is measured on data is a metric of the data's task."""
    own = [metric.name for metric in metrics_of(problem.data.task)]
    named = {c.metric: "constraints" for c in problem.constraints}
    named |= {o.metric: "metrics" for o in problem.objectives.each}
    mistakes = Mistakes()
    for metric in own:
        if is_cost(metric) or metric in ARTEFACT_METRICS:
            mistakes.found.append(f"task {problem.data.task.words.name!r}: {metric!r} is the name of a cost")
    for metric, table in named.items():
        is_measured = metric in task_metrics() or (listed_metric(metric) is None and ":" not in metric)
        if is_measured and metric not in own:
            mistakes.found.append(
                f"{STRATEGY}.{table}.{metric}: data set {problem.data.name!r} is a "
                f"{problem.data.task.words.name}; its metrics: {', '.join(own)}"
                f"{nearest(metric, own)}"
            )
    mistakes.check()


def _check_countable(problem: Problem) -> None:
    """Whether every plan can be tried, where that is what is asked for."""
    options, space = problem.options, problem.space
    if options.sampler != "brute_force" or problem.wanted_trials < space.size:
        return
    largest = max(space.slots, key=lambda slot: slot.count)
    if largest.count > MOST_LISTED:
        found = f"{largest.count:,} combinations for {largest.name} alone and {space.size:,} plans in all"
    elif space.size > MOST_ENUMERATED:
        found = f"{space.size:,} plans"
    else:
        return
    raise SettingsError(
        f"{STRATEGY}.setup.sampler: brute_force tries every plan, and there are {found}; allowed: n_trials, "
        "which takes so many of them at random, or another sampler, such as 'guided' or 'tpe', with n_trials"
    )


def _check_measurable(problem: Problem) -> None:
    named = {c.metric: "constraints" for c in problem.constraints}
    named |= {o.metric: "metrics" for o in problem.objectives.each}
    mistakes = Mistakes()
    for metric in ARTEFACT_METRICS:
        if metric in named and not problem.shares_weights:
            mistakes.found.append(
                f"{STRATEGY}.{named[metric]}.{metric}: it is measured on what is exported, and these "
                f"candidates have weights of their own; allowed: {STRATEGY}.hw_runner.measure_front = "
                f"['{metric}'], which measures the front's members"
            )
    mistakes.check()


def _check_bounded(problem: Problem) -> None:
    if not problem.options.drop_dominated:
        return
    where = f"{STRATEGY}.setup.drop_dominated: there are no bounds"
    measured = problem.seen_metrics & set(ARTEFACT_METRICS)
    if not problem.shares_weights:
        raise SettingsError(f"{where} for candidates with weights of their own; allowed: false")
    if problem.own_metrics or measured:
        what = ", ".join(sorted(measured)) or "metrics of your own"
        raise SettingsError(f"{where} for {what}; allowed: false")
    bounded = {metric.name: metric for metric in problem.data.task.metrics}
    if leading(problem.data.task).of_all is not None:
        raise SettingsError(f"{where} for {leading(problem.data.task).name}; allowed: false")
    for objective in problem.objectives.each:
        metric = bounded.get(objective.metric)
        if metric is not None and metric.best is None:
            raise SettingsError(f"{where} for {metric.name}; allowed: false")
        # What samples that are still to be seen give at best is no bound where the worst is looked for.
        if metric is not None and objective.direction != metric.direction:
            raise SettingsError(
                f"{where} where {objective.metric} is to be {objective.direction}d; allowed: false"
            )


def _check_folds(problem: Problem) -> None:
    """Whether there are samples for each fold, and a float model can be trained in it."""
    settings = problem.preparation
    if not isinstance(settings, CrossValidatedSettings) or problem.data.stands_in:
        return
    if problem.samples < settings.folds:
        raise SettingsError(
            f"{STRATEGY}.training.folds: found {settings.folds}; there are {problem.samples} samples"
        )
    untrained(problem.model, settings.float_recipe.seed)


def _is_learned(problem: Problem) -> bool:
    return problem.preparation.proposes


def _learned_objectives(problem: Problem) -> dict[str, Direction]:
    """What a training of learned widths looks at."""
    metric = leading(problem.data.task)
    assert isinstance(problem.preparation, LearnedSettings)
    return {metric.name: metric.direction, problem.preparation.cost: "minimize"}


def _check_learned(problem: Problem) -> None:
    """A training weighs the loss against ebops, and the validation part chooses its members."""
    mistakes = Mistakes()
    best, each = _learned_objectives(problem), {o.metric: o.direction for o in problem.objectives.each}
    for metric in each:
        if metric not in best:
            mistakes.found.append(
                f"{STRATEGY}.metrics.{metric}: no cost that widths are learned for; allowed: "
                f"{leading(problem.data.task).name} and one of {', '.join(LEARNED_COSTS)} (other costs are "
                f"shown of each member)"
            )
    for metric, direction in best.items():
        if each.get(metric) != direction and not set(each) - set(best):
            mistakes.found.append(
                f"{STRATEGY}.metrics.{metric}: where widths are learned, the objectives are "
                f"{' and '.join(f'{m} ({d})' for m, d in best.items())}"
            )
    if problem.objectives.sum_direction is not None:
        mistakes.found.append(
            f"{STRATEGY}.setup.sum_scaled_metrics: where widths are learned, one training gives the front; "
            "allowed: false"
        )
    costs = {name for name, metric in COSTS.items() if metric.kind == "cost"}
    known = {*best, *costs, "ebops"}
    for constraint in problem.constraints:
        if constraint.metric not in known:
            mistakes.found.append(
                f"{STRATEGY}.constraints.{constraint.metric}: not known while widths are learned; allowed: "
                f"{', '.join(sorted(known))}"
            )
    if problem.part_name != "validation":
        mistakes.found.append(
            f"{STRATEGY}.sw_runner.basic_evaluation.data_loader: the validation part chooses the members of "
            "a training; allowed: val_dataloader"
        )
    mistakes.check()
