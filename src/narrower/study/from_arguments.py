"""From the arguments of a search from Python to a problem: model and data, layers, objectives, metrics."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from narrower.data.datasets import DataSet, Given, as_data_set
from narrower.errors import SettingsError, unknown_name
from narrower.evaluate.own_metric import OwnMetric, own_metric
from narrower.models.build import as_called
from narrower.models.class_order import check_class_order, in_class_order
from narrower.models.fit import check_fit
from narrower.plan.plan import OPERANDS
from narrower.searching.format_names import ABSENT, NOT_QUANTIZED, as_read
from narrower.searching.objective import (
    Objective,
    Objectives,
    listed_metric,
    listed_metrics,
)
from narrower.searching.space_settings import (
    LayerChoices,
    OperandChoices,
    WidthChoices,
)
from narrower.settings import checks, format_checks
from narrower.tasks.task import Direction, Task


def fitting(
    model: nn.Module | str, data: Given, class_order: Sequence[str] | None
) -> tuple[nn.Module | str, DataSet]:
    """The model as it is called with the data, and the data in the model's order of classes.

    Numbers that are given stay what they are: the model was trained on such.

    Raises:
        NarrowerError: they do not fit each other, or the model has the classes in another order.
    """
    data = as_data_set(data, standardise=False)
    model = as_called(model, data.sizes) if isinstance(model, nn.Module) else model
    if class_order is not None:
        return model, in_class_order(data, class_order)
    if isinstance(model, nn.Module):
        check_fit(model, data)
        check_class_order(model, data, type(model).__name__)
    return model, data


def own_metrics_of(metrics: Sequence[str], task: Task) -> dict[str, OwnMetric]:
    """The metrics of the user's own, by name.

    Raises:
        UnknownNameError: a name is neither that nor a metric of the program or of the task.
    """
    own = [metric.name for metric in task.metrics]
    for metric in metrics:
        _check_metric(metric, own)
    return {metric: own_metric(metric) for metric in metrics if ":" in metric}


def _check_metric(metric: str, own: Iterable[str]) -> None:
    if listed_metric(metric) is None and ":" not in metric and metric not in own:
        raise unknown_name(
            "metric", metric, dict.fromkeys((*listed_metrics(), *own, "package.module:function"))
        )


def objectives_of(wanted: Sequence[str] | Mapping[str, str], task: Task) -> Objectives:
    """What to improve, each in its own direction where none is given.

    Raises:
        SettingsError: there is none, or nobody says which way one is better.
        UnknownNameError: there is no such metric.
    """
    own = {metric.name: metric.direction for metric in task.metrics}
    directions: dict[str, Any] = dict(wanted) if isinstance(wanted, Mapping) else dict.fromkeys(wanted)
    each = []
    for metric, given in directions.items():
        listed = listed_metric(metric)
        if listed is None and ":" not in metric and metric not in own:
            raise unknown_name("metric", metric, (*listed_metrics(), *own, "package.module:function"))
        direction: Direction | None = given or own.get(metric) or (listed.direction if listed else None)
        if direction not in ("maximize", "minimize"):
            raise SettingsError(f"objective {metric!r}: say 'maximize' or 'minimize', not {direction!r}")
        each.append(Objective(metric, direction))
    if not each:
        raise SettingsError("there is no objective")
    return Objectives(tuple(each))


def layer_choices(key: str, table: Mapping[str, Sequence[Any]]) -> LayerChoices:
    """What may be chosen for the layers that ``key`` names.

    Raises:
        SettingsError: with the argument, what was found and what is allowed.
    """
    ends = ("", "_frac", *(f"_{key}" for key in format_checks.FORMAT_OPTIONS))
    allowed = ["name", *(f"{operand}{end}" for operand in OPERANDS for end in ends), "width"]
    for name in table:
        if name not in allowed:
            raise SettingsError(f"space[{key!r}]: unknown key {name!r}; allowed: {', '.join(allowed)}")

    def read(name: str, check: Callable[[Any], tuple[Any, ...]], default: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            return check(table.get(name, default))
        except ValueError as error:
            raise SettingsError(f"space[{key!r}][{name!r}]: {error}") from None

    is_quantized = any(operand in table for operand in OPERANDS)
    widths = checks.list_of(format_checks.width, "[4, 8]")
    fractions = checks.list_of(format_checks.fraction, "['NA'] or [2, 4]")
    data, weight, bias = [
        OperandChoices(
            read(operand, widths, ("NA",)) if operand in table else ("NA",),
            read(f"{operand}_frac", fractions, ("NA",)),
            tuple(
                (option, read(f"{operand}_{option}", checks.list_of(*check), ()))
                for option, check in format_checks.FORMAT_OPTIONS.items()
                if f"{operand}_{option}" in table
            ),
        )
        for operand in OPERANDS
    ]
    listed = checks.list_of(checks.one_of(tuple(format_checks.FAMILIES), ABSENT), "['fixed']")
    names = read("name", listed, ("fixed",) if is_quantized else (NOT_QUANTIZED,))
    multipliers = checks.list_of(format_checks.multiplier, "[0.5, 1, 2]")
    width = WidthChoices(read("width", multipliers, ()) if "width" in table else ())
    families = as_read(
        [format_checks.FAMILIES[name] for name in names],
        zeros="weight_sparsity" in table,
        parts="weight_per" in table,
    )
    return LayerChoices(families, data, weight, bias, width)
