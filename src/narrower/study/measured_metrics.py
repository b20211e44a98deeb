"""Which metrics are measured on the samples beside the one that leads, and by which plans are told apart."""

from narrower.study.problem import Problem
from narrower.tasks.catalogue import more_metric
from narrower.tasks.own.all_samples import metric_of_all
from narrower.tasks.task import LOSS, SampleMetric, leading

DRAWS = 50  # each calls a function of the user's


def measured_metrics(problem: Problem) -> tuple[SampleMetric, ...]:
    """The task's metrics but the leading one, then those that were asked for by name or are functions.

    The loss only where it is searched.
    """
    task = problem.data.task
    directions = {o.metric: o.direction for o in problem.objectives.each}
    found = [metric for metric in task.metrics[1:] if metric.name != LOSS or LOSS in directions]
    for name, function in problem.own_metrics.items():
        named = more_metric(task, name)
        direction = directions.get(name, "maximize")
        found.append(
            named or metric_of_all(name, name, "a function of yours", direction, function, draws=DRAWS)
        )
    return tuple(found)


def telling_metric(problem: Problem) -> SampleMetric | None:
    """The metric of samples that plans are compared by: the leading one, or the first that is searched.

    A function of the user's would be called too often.
    """
    searched = {o.metric for o in problem.objectives.each}
    every = (leading(problem.data.task), *measured_metrics(problem))
    return next((metric for metric in every if metric.name in searched and metric.draws > DRAWS), None)
