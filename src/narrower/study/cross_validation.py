"""Score finetuned plans by cross-validation: each sample by weights that were taught without it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from narrower.data.folds import folds_of, together
from narrower.evaluate.held_out import HeldOut, of_outputs, outputs_of
from narrower.study.problem import Problem
from narrower.study.staged_training import InTraining, StagedTraining
from narrower.study.trained_program import program_of
from narrower.training.finetuning import Finetuning
from narrower.training.in_rounds import InRounds
from narrower.training.one_model import train_weights
from narrower.training.untrained import untrained


def cross_validated(
    problem: Problem, how: Finetuning, plans: Mapping[int, Any], staged: StagedTraining, batch_size: int
) -> dict[int, HeldOut]:
    """Train and score plans, by the numbers of their trials, in each fold of the samples.

    These are the training part and those that the search scored on. The float model of a fold is trained on
    what teaches in it, from parameters that are drawn anew; what the given model was trained on would not be
    known. Automatic fractions of a plan are those of that model.

    Raises:
        ModelError: the model does not say how its parameters are drawn.
        SettingsError: there are fewer samples than folds.
    """
    outputs: dict[int, list[Tensor | str]] = {number: [] for number in plans}
    folds = folds_of(together(problem.data.train, problem.part), how.folds, how.recipe.seed)
    for number, (teaches, scores) in enumerate(folds, start=1):
        begun = train_weights(untrained(problem.model, how.float_recipe.seed), teaches, how.float_recipe)
        plan_of = problem.refit(begun, replace(problem.data, train=teaches, validation=scores))
        training = InRounds(begun, teaches, how.recipe, scores)
        going = [InTraining(trial, plan_of(plan)) for trial, plan in plans.items()]
        staged.train(training, f"fold {number}", going, training.steps)
        for each in going:
            outputs[each.number] += [] if each.failure is None else [each.failure]
        for each, model in staged.models(training, going):
            program = program_of(problem, model)
            outputs[each.number].append(outputs_of(program, scores, each.plan.formats, batch_size))
    parts = [scores for _, scores in folds]
    return {number: of_outputs(own, parts, problem.own_metrics) for number, own in outputs.items()}
