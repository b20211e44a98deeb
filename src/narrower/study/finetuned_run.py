"""Train plans of a finished search in their number formats: from its directory, or from Python."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from narrower.errors import RunError, SettingsError
from narrower.report.finetuned import FinetunedRecord
from narrower.report.whole_run import read_whole_run
from narrower.settings import convert_preparation
from narrower.settings.load import load_settings
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.arguments import spoken_of_arguments
from narrower.study.finetune import Finetuner
from narrower.study.pose import pose
from narrower.study.problem import Problem, Say, given_weights
from narrower.study.result import SearchResult
from narrower.study.run_facts import check_made_of
from narrower.study.staged_training import StepsSeen
from narrower.training.finetuning import Finetuning
from narrower.training.recipe import Recipe


@spoken_of_arguments()
def finetune(  # noqa: PLR0913 - what is trained, and how
    run: SearchResult | Path | str,
    recipe: Recipe | None = None,
    *,
    trials: Sequence[int] = (),
    every: bool = False,
    rounds: int | None = None,
    order: str | None = None,
    seeds: int | None = None,
    folds: int | None = None,
    float_recipe: Recipe | None = None,
) -> FinetunedRecord:
    """Train plans of a search in their number formats, from the float model's weights; take the front again.

    ``run`` is what ``narrower.search`` gave, or the directory of a run that a settings file or a command
    described. What is trained: ``trials`` by their numbers, ``every`` trial, or unless told
    the members of the front and plans whose 95 % intervals reach it. ``recipe`` says how; without it the
    run's settings do. With ``rounds`` the best quarter of the plans goes on after each but the last;
    ``order`` chooses the quarter that is trained at all: a zero-cost proxy by name, or "untrained".
    ``seeds`` above 1 measures on the front after how far trainings end apart. ``folds`` above 1 scores by
    cross-validation, each fold with a float model that ``float_recipe`` trains.

    The record is also written to ``finetuned.json``, and weights to ``models/`` of the run. What a kill
    interrupts goes on where it stopped when the same is asked for again.

    Raises:
        NarrowerError: what is asked for cannot be trained; the message says why.
    """
    if trials and every:
        raise SettingsError("trials: give some of them, or every=True")
    if isinstance(run, SearchResult):
        directory, problem, how = run.run, run.problem, Finetuning(Recipe())
    else:
        directory = RunDirectory(Path(run))
        problem, how = posed_again(directory)
    given = {
        "recipe": recipe,
        "rounds": rounds,
        "order": order,
        "seeds": seeds,
        "folds": folds,
        "float_recipe": float_recipe,
    }
    how = replace(how, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    members = [member.number for member in read_whole_run(directory, _say_nothing).members]
    with directory.locked():
        return finetuned(problem, directory, how, trials, members, every=every, seen=_show_nothing)


def finetuned(
    problem: Problem,
    run: RunDirectory,
    how: Finetuning,
    numbers: Sequence[int],
    members: Sequence[int],
    *,
    every: bool,
    seen: StepsSeen,
    say: Say = lambda _text: None,
) -> FinetunedRecord:
    """Train plans of a run: without ``numbers`` its front and the plans that reach it, or ``every`` one.

    ``say`` is told what happens to workers.
    """
    with TrialStore.open(run.trials, read_only=True) as store:
        tuner = Finetuner(problem, run, store, how, seen, say)
        if every:
            numbers = [trial.number for trial in store.trials() if trial.state == "complete"]
        return tuner.finetune(numbers or tuner.front_and_rivals(members), members)


def posed_again(run: RunDirectory) -> tuple[Problem, Finetuning]:
    """What a run searched, with its weights, and how its settings train plans afterwards.

    Raises:
        RunError: the run does not say what it searched, or it is not what lies there now.
    """
    try:
        settings = load_settings(run.settings).settings
    except SettingsError as error:
        raise RunError(f"{run.path}: a search from Python does not keep its model: {error}") from error
    problem = given_weights(pose(settings), run.weights)
    with TrialStore.open(run.trials, read_only=True) as store:
        check_made_of(problem, run, store.facts())
    return problem, convert_preparation.finetuning(settings)


def _show_nothing(_stage: str, _done: int, _of: int, _words: str) -> None:
    pass


def _say_nothing(_text: str) -> None:
    pass
