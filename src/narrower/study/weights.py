"""The weights that plans start from, where none were given: trained first, or left by an earlier training."""

from narrower.settings import convert
from narrower.settings.schema import RunSettings
from narrower.store.run_directory import RunDirectory
from narrower.study.calibrated_space import Calibrating
from narrower.study.problem import Problem, Say, given_weights, users_weights
from narrower.tasks.task import leading
from narrower.training.one_model import train
from narrower.training.record import is_unfinished


def initial_weights(
    problem: Problem,
    settings: RunSettings,
    run: RunDirectory,
    *,
    say: Say,
    show_progress: bool,
    calibrating: Calibrating | None,
) -> Problem:
    """The problem with weights: those that were trained in this run directory, or newly trained there."""
    if run.checkpoint.is_file() and is_unfinished(run.path):
        say(
            f"{run.checkpoint} is of a training that did not end: training again, from where it "
            "stopped if nothing has changed"
        )
    elif run.checkpoint.is_file():
        say(f"weights: {run.checkpoint}")
        return users_weights(problem, run.checkpoint, say=say, calibrating=calibrating)
    training = convert.training_settings(settings)
    say(
        f"no checkpoint: training {settings.model} on {problem.data.name} first "
        f"({training.max_epochs} epochs, batch size {training.batch_size}, "
        f"learning rate {training.learning_rate:g})"
    )
    result = train(problem.model, problem.data, training, run.path, show_progress=show_progress)
    metric = leading(problem.data.task).name
    say(f"trained: validation {metric} {result.validation.metrics[metric]:.4f}, {result.best_checkpoint}")
    return given_weights(problem, result.best_checkpoint, calibrating=calibrating)
