"""``narrower finetune``: train plans of a finished search in their formats, and take the front again."""

from dataclasses import replace
from typing import Annotated, Any

import typer

from narrower.cli.backend_options import Address, BackendName, Jobs
from narrower.cli.complete import Run
from narrower.cli.console import note, print_json, tell, warn
from narrower.cli.numbers import LARGEST_SEED, MOST, number_within
from narrower.cli.print_record import print_finetuned
from narrower.errors import SettingsError
from narrower.report.whole_run import read_whole_run
from narrower.searching.objective import PROXIES
from narrower.settings.backend import BackendWishes
from narrower.store.run_directory import RunDirectory
from narrower.training.recipe import OPTIMIZERS, SCHEDULES

Trials = Annotated[
    list[int] | None, typer.Option("--trial", help="A trial to train; give it several times.", min=0)
]
Front = Annotated[
    bool,
    typer.Option("--front", help="The front, and plans whose intervals reach it; the same as no --trial."),
]
Every = Annotated[bool, typer.Option("--all", help="Every trial of the run; best with --rounds.")]
Rounds = Annotated[
    int | None,
    typer.Option(
        "--rounds",
        min=1,
        max=10,
        help="After each round but the last, the best quarter goes on, four times as long.  [default: 1]",
    ),
]
Order = Annotated[
    str | None,
    typer.Option(
        "--order",
        help="Train the best quarter alone, by what the search measured (untrained) or by a proxy: "
        f"{', '.join(PROXIES)}.",
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        "--seeds", min=1, max=100, help="Of members of the front after, for the spread of training."
    ),
]
Folds = Annotated[
    int | None,
    typer.Option("--folds", min=1, max=100, help="Score by cross-validation; for few samples.  [default: 1]"),
]
Epochs = Annotated[int | None, typer.Option("--max-epochs", min=1, max=MOST, help="Passes over the samples.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", min=2, max=MOST, help="Samples in one step.")]
LearningRate = Annotated[
    float | None,
    typer.Option("--learning-rate", parser=number_within(1e-12, 1e6), metavar="FLOAT", help="The largest."),
]
Optimizer = Annotated[str | None, typer.Option("--optimizer", help=f"{', '.join(OPTIMIZERS)}.")]
Schedule = Annotated[str | None, typer.Option("--schedule", help=f"{', '.join(SCHEDULES)}.")]
Patience = Annotated[
    int | None, typer.Option("--patience", min=0, help="Epochs without a lower loss until the end.")
]
Distillation = Annotated[
    float | None, typer.Option("--distillation", help="Weight of the float model's outputs in the loss.")
]
Temperature = Annotated[float | None, typer.Option("--temperature", help="Of both outputs there.")]
Average = Annotated[float | None, typer.Option("--average", help="Decay of the average of weights.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Of the order of samples.")]
Json = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]


def finetune(
    run: Run,
    trial: Trials = None,
    front: Front = False,
    all_trials: Every = False,
    rounds: Rounds = None,
    order: Order = None,
    seeds: Seeds = None,
    folds: Folds = None,
    max_epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    optimizer: Optimizer = None,
    schedule: Schedule = None,
    patience: Patience = None,
    distillation: Distillation = None,
    temperature: Temperature = None,
    average: Average = None,
    seed: Seed = None,
    jobs: Jobs = None,
    backend: BackendName = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Train plans of RUN in their number formats, from the float model's weights, and take the front again.

    Options that are left out are as the run's settings say. Writes finetuned.json and models/ of the run.
    What a kill interrupts goes on where it stopped when the same command is given again.
    """
    if sum((bool(trial), front, all_trials)) > 1:
        raise SettingsError("give one of --trial, --front and --all")
    given = {
        "max_epochs": max_epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "optimizer": optimizer,
        "schedule": schedule,
        "patience": patience,
        "distillation": distillation,
        "temperature": temperature,
        "average": average,
        "seed": seed,
    }
    from narrower.cli.progress import step_progress
    from narrower.study.finetuned_run import finetuned, posed_again
    from narrower.study.possible import check_backend

    directory = RunDirectory(run)
    members = [member.number for member in read_whole_run(directory, note).members]
    problem, how = posed_again(directory)
    problem = replace(problem, backend=BackendWishes(jobs, backend, address).over(problem.backend))
    check_backend(problem)
    recipe: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    ways: dict[str, Any] = {"rounds": rounds, "order": order, "seeds": seeds, "folds": folds}
    ways = {name: value for name, value in ways.items() if value is not None}
    how = replace(how, recipe=replace(how.recipe, **recipe), **ways)
    numbers = list(trial or [])
    with directory.locked(), step_progress() as seen:
        record = finetuned(problem, directory, how, numbers, members, every=all_trials, seen=seen, say=warn)
    if as_json:
        print_json(record.to_dict())
    else:
        print_finetuned(record)
        tell(f"everything: {directory.path}/")
