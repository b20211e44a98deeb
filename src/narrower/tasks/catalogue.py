"""What tasks there are, by name."""

from dataclasses import replace

from narrower.errors import DataError, unknown_name
from narrower.tasks.classification.more_metrics import MORE_OF_CLASSIFICATION
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.multi_label.task import MULTI_LABEL
from narrower.tasks.own.task import OwnTask, own_task
from narrower.tasks.reconstruction.anomalies import ANOMALIES
from narrower.tasks.reconstruction.task import RECONSTRUCTION
from narrower.tasks.regression.task import LOSSES, REGRESSION, Regression
from narrower.tasks.segmentation.task import SEGMENTATION
from narrower.tasks.task import SampleMetric, Task
from narrower.tasks.tokens.task import LANGUAGE_MODELLING, MASKED_LANGUAGE_MODELLING, TOKEN_CLASSIFICATION

TASKS: dict[str, Task] = {
    "classification": CLASSIFICATION,
    "regression": REGRESSION,
    "multi-label": MULTI_LABEL,
    "reconstruction": RECONSTRUCTION,
    "anomalies": ANOMALIES,
    "segmentation": SEGMENTATION,
    "language-modelling": LANGUAGE_MODELLING,
    "masked-language-modelling": MASKED_LANGUAGE_MODELLING,
    "token-classification": TOKEN_CLASSIFICATION,
}


# Computed only where somebody asks for them by name.
MORE: dict[str, tuple[SampleMetric, ...]] = {"classification": MORE_OF_CLASSIFICATION}


def metrics_of(task: Task) -> tuple[SampleMetric, ...]:
    """All metrics of a task: those that are always measured, then those that are asked for."""
    return (*task.metrics, *MORE.get(task.words.name, ()))


def more_metric(task: Task, name: str) -> SampleMetric | None:
    """A metric that is measured only where it is asked for; None where the name is none of those."""
    return next((metric for metric in MORE.get(task.words.name, ()) if metric.name == name), None)


def task_of(*, are_real: bool) -> Task:
    """What targets mean where nobody says it: real numbers are those of a regression, whole ones classes."""
    return REGRESSION if are_real else CLASSIFICATION


def is_own_task(name: str | None) -> bool:
    """Whether a name is that of a task of the user's own."""
    return name is not None and ":" in name


def output_names(task: Task) -> tuple[str, ...]:
    """What a task of the user's own says of the names of outputs; empty where nothing is said."""
    return task.output_names if isinstance(task, OwnTask) else ()


def task_named(name: str) -> Task:
    """The task of this name, or of the user's own, ``package.module:name``.

    Raises:
        UnknownNameError: there is none.
        SettingsError: the user's cannot be imported, or is no task.
    """
    if is_own_task(name):
        return own_task(name)
    if name not in TASKS:
        raise unknown_name("task", name, (*TASKS, "package.module:name"))
    return TASKS[name]


def trained_by(task: Task, loss: str) -> Task:
    """The task with the loss of this name.

    Raises:
        DataError: it has no such loss.
    """
    if not isinstance(task, Regression):
        raise DataError(f"loss: found {loss!r}; a {task.words.name} is trained by one loss alone")
    if loss not in LOSSES:
        raise DataError(f"loss: found {loss!r}; allowed for a {task.words.name}: {', '.join(LOSSES)}")
    return replace(task, trained_by=loss)


def task_metrics() -> dict[str, SampleMetric]:
    """The metrics of all tasks by name; of a name that several have, that of the first."""
    found: dict[str, SampleMetric] = {}
    for task in TASKS.values():
        for metric in metrics_of(task):
            found.setdefault(metric.name, metric)
    return found
