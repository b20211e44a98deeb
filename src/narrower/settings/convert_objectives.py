"""From the tables of metrics and constraints to what is improved and what must hold."""

from narrower.errors import SettingsError, unknown_name
from narrower.searching.objective import Constraint, Objective, Objectives, listed_metrics
from narrower.settings.data_keys import own_task_of
from narrower.settings.schema import RunSettings
from narrower.settings.strategy_table import MetricSettings
from narrower.tasks.catalogue import task_named
from narrower.tasks.task import Direction


def objectives(settings: RunSettings) -> Objectives:
    """What to improve.

    Raises:
        SettingsError: beginning with the key, where a scale is negative without making sense in a sum.
    """
    setup, known = settings.search.strategy.setup, _known_directions(settings)
    for name, metric in settings.search.strategy.metrics.items():
        if name not in known and metric.direction is None:
            raise SettingsError(f"search.strategy.metrics.{name}: {unknown_name('metric', name, known)}")
    total = _direction(setup.direction) if setup.sum_scaled_metrics else None
    return Objectives(
        tuple(
            _objective(name, metric, total, known.get(name))
            for name, metric in settings.search.strategy.metrics.items()
        ),
        total,
    )


def _known_directions(settings: RunSettings) -> dict[str, Direction]:
    """Which way each metric is better: those of the user's own task, then those that are listed."""
    found: dict[str, Direction] = {name: metric.direction for name, metric in listed_metrics().items()}
    own = own_task_of(settings.dataset, settings.task)
    own_metrics = {} if own is None else {m.name: m.direction for m in task_named(own).metrics}
    return own_metrics | found | own_metrics  # theirs are listed first, and win


def _objective(
    name: str, metric: MetricSettings, total: Direction | None, known: Direction | None
) -> Objective:
    """A metric whose direction is not that of the sum is subtracted; a negative scale says the same.

    Raises:
        SettingsError: nobody says which way it is better, or the scale makes no sense.
    """
    direction = _direction(metric.direction) or known
    assert direction is not None  # objectives() looked before
    if metric.scale < 0:
        where = f"search.strategy.metrics.{name}.scale: found {metric.scale:g}"
        if total is None:
            raise SettingsError(
                f"{where}; allowed: a number above 0 (below 0 with sum_scaled_metrics = true only)"
            )
        if known is not None and _is_subtracted(metric, total, known):
            direction = known
        elif direction == total:
            raise SettingsError(
                f"{where}: to {total} a sum from which {name} is subtracted contradicts {name}.direction = "
                f"{direction!r}; allowed: a number above 0, or the other direction"
            )
    return Objective(name, direction, abs(metric.scale))


def _is_subtracted(metric: MetricSettings, total: Direction | None, known: Direction | None) -> bool:
    """Whether the scale says what the metric's direction denies: MASE/chop reads only the scale in a sum."""
    return metric.scale < 0 and metric.direction == total and known is not None and known != total


def objective_notes(settings: RunSettings) -> tuple[str, ...]:
    """What of the objectives' settings has another effect than one may think."""
    strategy = settings.search.strategy
    where = f"search.strategy.setup.direction: {strategy.setup.direction!r} has no effect"
    if strategy.setup.direction is None:
        return ()
    if not strategy.setup.sum_scaled_metrics:
        return (f"{where} without sum_scaled_metrics = true: each metric has a direction of its own",)
    wanted, known = objectives(settings), _known_directions(settings)
    denied = [
        f"search.strategy.metrics.{name}.direction: {metric.direction!r} has no effect beside scale = "
        f"{metric.scale:g}, with which {name} is subtracted from the sum"
        for name, metric in strategy.metrics.items()
        if _is_subtracted(metric, wanted.sum_direction, known.get(name))
    ]
    added = all(
        metric.scale < 0 or o.direction == wanted.sum_direction
        for o, metric in zip(wanted.each, strategy.metrics.values(), strict=True)
    )
    if added:
        return tuple(denied)
    terms = " ".join(
        f"{'+' if o.direction == wanted.sum_direction else '-'} {o.scale:g} x {o.metric}" for o in wanted.each
    )
    return (
        *denied,
        f"{where} on what is better: in a sum each metric counts by its own direction, and "
        f"{terms.removeprefix('+ ')} is {wanted.sum_direction}d (MASE/chop adds all of them)",
    )


def constraints(settings: RunSettings) -> tuple[Constraint, ...]:
    """What must hold: the table of constraints, and the bounds that metrics have of their own.

    Raises:
        SettingsError: beginning with the key, where a bound makes no sense.
    """
    strategy = settings.search.strategy
    found = [Constraint(name, bound.min, bound.max) for name, bound in strategy.constraints.items()]
    for name, metric in strategy.metrics.items():
        low, high, where = metric.lower_bound, metric.upper_bound, f"search.strategy.metrics.{name}"
        given = "lower_bound" if low is not None else "upper_bound"
        if low is None and high is None:
            continue
        if name in strategy.constraints:
            raise SettingsError(
                f"{where}.{given}: {name} has bounds in search.strategy.constraints as well; give them once"
            )
        if low is not None and high is not None and low > high:
            raise SettingsError(f"{where}.lower_bound: found {low:g}, above upper_bound = {high:g}")
        found.append(Constraint(name, low, high))
    return tuple(found)


def _direction(name: str | None) -> Direction | None:
    return name  # type: ignore[return-value]
