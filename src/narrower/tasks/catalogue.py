"""What tasks there are, by name."""

from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.regression.task import REGRESSION
from narrower.tasks.task import SampleMetric, Task

TASKS: dict[str, Task] = {
    "classification": CLASSIFICATION,
    "regression": REGRESSION,
}


def task_of(*, are_real: bool) -> Task:
    """What targets mean where nobody says it: real numbers are those of a regression, whole ones classes."""
    return REGRESSION if are_real else CLASSIFICATION


def task_metrics() -> dict[str, SampleMetric]:
    """The metrics of all tasks by name; of a name that several have, that of the first."""
    found: dict[str, SampleMetric] = {}
    for task in TASKS.values():
        for metric in task.metrics:
            found.setdefault(metric.name, metric)
    return found
