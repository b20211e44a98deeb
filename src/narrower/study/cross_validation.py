"""Score plans by cross-validation: each sample by weights that were taught without it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrower.data.parts import Part
from narrower.errors import SettingsError
from narrower.evaluate.evaluator import Evaluator
from narrower.study.problem import Problem
from narrower.study.staged_training import InTraining, StagedTraining
from narrower.study.trained_program import program_of
from narrower.tasks.quality import Quality, added, quality_of
from narrower.tasks.task import Sums
from narrower.training.finetuning import Finetuning
from narrower.training.in_rounds import InRounds
from narrower.training.one_model import train_weights
from narrower.training.untrained import untrained


@dataclass(frozen=True, slots=True)
class CrossScore:
    """What a plan came to on all samples together, and what each contributed to the leading metric.

    ``failure`` says why a fold could not be trained.
    """

    quality: Quality
    contributions: NDArray[Any]
    failure: str | None = None


def folds_of(part: Part, count: int, seed: int) -> list[tuple[Part, Part]]:
    """For each fold the samples that teach, and those that score: each sample scores once.

    Raises:
        SettingsError: there are fewer samples than folds.
    """
    if len(part) < count:
        raise SettingsError(f"folds: found {count}; there are {len(part)} samples")
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))
    found = []
    for number in range(count):
        scores = torch.zeros(len(part), dtype=torch.bool)
        scores[order[number::count]] = True
        found.append((part.at(~scores), part.at(scores)))
    return found


def together(one: Part, other: Part) -> Part:
    """The samples of two parts."""
    pairs = zip(one.more, other.more, strict=True)
    return Part(
        torch.cat([one.inputs, other.inputs]),
        torch.cat([one.targets, other.targets]),
        tuple(torch.cat(pair) for pair in pairs),
        one.task,
    )


def cross_validated(
    problem: Problem, how: Finetuning, plans: Mapping[int, Any], staged: StagedTraining, batch_size: int
) -> dict[int, CrossScore]:
    """Train and score plans, by the numbers of their trials, in each fold of the samples.

    These are the training part and those that the search scored on. The float model of a fold is trained on
    what teaches in it, from parameters that are drawn anew; what the given model was trained on would not be
    known.

    Raises:
        ModelError: the model does not say how its parameters are drawn.
    """
    sums: dict[int, dict[str, Sums]] = {number: {} for number in plans}
    contributions: dict[int, list[NDArray[Any]]] = {number: [] for number in plans}
    failures: dict[int, str] = {}
    samples = together(problem.data.train, problem.part)
    task = samples.task
    for number, (teaches, scores) in enumerate(folds_of(samples, how.folds, how.recipe.seed)):
        begun = untrained(problem.model, how.float_recipe.seed)
        training = InRounds(train_weights(begun, teaches, how.float_recipe), teaches, how.recipe, scores)
        going = [InTraining(trial, plan) for trial, plan in plans.items()]
        staged.train(training, f"fold {number + 1}", going, training.steps)
        failures |= {each.number: each.failure for each in going if each.failure is not None}
        for each, model in staged.models(training, going):
            evaluator = Evaluator(program_of(problem, model), scores, batch_size=batch_size)
            (quality,) = evaluator.evaluate([each.plan.formats], loss=True)
            if quality.failure is not None:
                failures[each.number] = quality.failure
                continue
            sums[each.number] = added(_metrics(problem), sums[each.number], quality.sums)
            contributions[each.number].append(evaluator.contributions([each.plan.formats])[0].numpy())
    return {
        number: CrossScore(
            quality_of(task, sums[number], len(samples)) if number not in failures else Quality(len(samples)),
            np.concatenate(contributions[number]) if number not in failures else np.empty(0),
            failures.get(number),
        )
        for number in plans
    }


def check_folds(problem: Problem, how: Finetuning) -> None:
    """Check that plans can be scored by cross-validation.

    Raises:
        SettingsError: a metric of the user's own is looked at, whose values cannot be added up.
    """
    if how.folds > 1 and problem.own_metrics:
        name = next(iter(problem.own_metrics))
        raise SettingsError(
            f"folds: {name} is a metric of your own, which is computed from all samples at once; allowed: 1"
        )


def _metrics(problem: Problem) -> Sequence[Any]:
    return problem.data.task.metrics
