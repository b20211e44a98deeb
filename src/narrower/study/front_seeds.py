"""How far apart trainings of the front's members end, and which members lead with that known."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from narrower.errors import NarrowerError
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.groups import Made
from narrower.preparation.retrained import Retrained
from narrower.preparation.settings import RetrainedSettings
from narrower.searching.front import dominates
from narrower.searching.objective import Objectives
from narrower.study.candidate_work import CandidatesElsewhere
from narrower.study.problem import Problem
from narrower.study.trained_program import program_of
from narrower.tasks.spread import Contributions, leads
from narrower.tasks.task import SampleMetric
from narrower.training.recipe import seeds_from


def of_seeds(
    problem: Problem,
    way: Retrained,
    settings: RetrainedSettings,
    plans: Sequence[Plan],
    programs: Sequence[Program],
    elsewhere: CandidatesElsewhere | None = None,
) -> list[Contributions]:
    """What each sample contributes to the leading metric, for each plan and training [S, N].

    ``programs`` are those of the first seed; workers ``elsewhere`` train the others, where there are some.

    Raises:
        NarrowerError: a member cannot be trained with another seed.
    """
    found = [[_contributions(problem, program, plan)] for program, plan in zip(programs, plans, strict=True)]
    for seed, trained in _with_seeds(way, settings, plans, elsewhere):
        for own, plan, models in zip(found, plans, trained, strict=True):
            if isinstance(models, str):
                raise NarrowerError(
                    f"seeds: with seed {seed} a member of the front cannot be trained: {models}"
                )
            own.append(_contributions(problem, program_of(problem, models[0]), plan))
    return [np.stack(own) for own in found]


def _with_seeds(
    way: Retrained,
    settings: RetrainedSettings,
    plans: Sequence[Plan],
    elsewhere: CandidatesElsewhere | None,
) -> Iterator[tuple[int, list[tuple[nn.Module, ...] | str]]]:
    """Each further seed, and the model of each plan with it, or why there is none."""
    groups, seeds = way.again(plans), seeds_from(settings.training.seed, settings.front_seeds)[1:]
    made: Iterator[Made]
    if elsewhere is None:
        made = (way.with_seed(group, seed) for seed in seeds for group in groups)
    else:
        made = iter(elsewhere.with_seeds(way, groups, seeds))
    for seed in seeds:
        yield seed, [models for _ in groups for models in next(made).models]


def leaders(
    objectives: Objectives,
    metric: SampleMetric,
    rows: Sequence[tuple[Mapping[str, float], Contributions]],
) -> list[bool | None]:
    """Whether each plan leads, at 95 %, every other that is better in all else.

    None where the leading metric is not one of several objectives.
    """
    others = [o for o in objectives.each if o.metric != metric.name]
    if len(others) in (0, len(objectives.each)) or objectives.sum_direction is not None:
        return [None] * len(rows)
    costs = [np.array([o.sign * metrics[o.metric] for o in others]) for metrics, _ in rows]
    return [
        all(
            leads(metric, own, rival)
            for theirs, (_, rival) in zip(costs, rows, strict=True)
            if dominates(theirs, cost)
        )
        for cost, (_, own) in zip(costs, rows, strict=True)
    ]


def _contributions(problem: Problem, program: Program, plan: Plan) -> NDArray[Any]:
    found: NDArray[Any] = Evaluator(program, problem.part).contributions([plan.formats])[0].numpy()
    return found
