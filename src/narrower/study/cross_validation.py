"""Score finetuned plans by cross-validation: each sample by weights that were taught without it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from narrower.evaluate.held_out import HeldOut, of_outputs, outputs_of
from narrower.study.lessons import Lesson
from narrower.study.problem import Problem
from narrower.study.staged_training import InTraining, Stage, StagedTraining
from narrower.study.trained_program import program_of


def cross_validated(
    problem: Problem, plans: Mapping[int, Any], staged: StagedTraining, batch_size: int
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
    lessons = staged.lessons
    folds, stages = lessons.folds, list[Stage]()
    for fold, begun in enumerate(staged.float_weights(len(folds))):
        lesson = Lesson(lessons.how.recipe, fold, begun)
        training, (teaches, scores) = lessons.in_rounds(lesson), folds[fold]
        plan_of = problem.refit(training.model, replace(problem.data, train=teaches, validation=scores))
        going = [InTraining(trial, plan_of(plan)) for trial, plan in plans.items()]
        stages.append(Stage(f"fold {fold + 1}", lesson, going, training.steps))
    staged.ahead(stages)
    for stage, (_, scores) in zip(stages, folds, strict=True):
        staged.train(stage)
        for each in stage.going:
            outputs[each.number] += [] if each.failure is None else [each.failure]
        for each, model in staged.models(lessons.in_rounds(stage.lesson), stage.going):
            program = program_of(problem, model)
            outputs[each.number].append(outputs_of(program, scores, each.plan.formats, batch_size))
        for each in stage.going:
            each.state = None  # states of all folds would take much memory
    parts = [scores for _, scores in folds]
    return {number: of_outputs(own, parts, problem.own_metrics) for number, own in outputs.items()}
