"""``narrower search``: the Pareto front of quality against cost."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrower.cli.backend_options import Address, BackendName, Jobs
from narrower.cli.complete import like_run, like_sampler
from narrower.cli.console import messages, note, print_json, tell, warn
from narrower.cli.numbers import LARGEST_SEED, MOST, number_within
from narrower.cli.project import Project
from narrower.cli.settings_options import Override, Set
from narrower.cli.sizes import byte_count
from narrower.cli.train import DataPath, Target
from narrower.cli.watch import watched
from narrower.data.catalogue import wished
from narrower.errors import SettingsError
from narrower.searching.samplers.catalogue import default_sampler
from narrower.settings.backend import BackendWishes
from narrower.settings.checks import names_between_commas
from narrower.settings.dump import settings_text
from narrower.settings.from_options import settings_from_options, with_options
from narrower.settings.layers import read_layers
from narrower.settings.load import LoadedSettings, located
from narrower.store.run_directory import RunDirectory, claimed, first_free
from narrower.store.run_log import RunLog
from narrower.study.read import read_settings
from narrower.tasks.catalogue import task_metrics
from narrower.training.record import is_unfinished

if TYPE_CHECKING:
    from narrower.report.record import RunRecord
    from narrower.settings.schema import RunSettings
    from narrower.study.problem import Problem

Config = Annotated[Path | None, typer.Option("--config", help="What to search (TOML).")]
Load = Annotated[Path | None, typer.Option("--load", help="Weights of the model.")]
Train = Annotated[bool, typer.Option("--train/--no-train", help="Train first where there are no weights.")]
Resume = Annotated[
    Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run.", autocompletion=like_run)
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Model = Annotated[str | None, typer.Option("--model", help="Without a file: the model.")]
Dataset = Annotated[str | None, typer.Option("--dataset", help="Without a file: the data set.")]
Layers = Annotated[str, typer.Option("--layers", help="Regular expression of the layers to quantize.")]
DataWidths = Annotated[str, typer.Option("--data-widths", help="Widths of data, separated by commas.")]
WeightWidths = Annotated[str, typer.Option("--weight-widths", help="Widths of weights.")]
BiasWidths = Annotated[str, typer.Option("--bias-widths", help="Widths of biases.")]
Fractions = Annotated[str, typer.Option("--fraction", help="Fraction width: NA (half), auto or a number.")]
Rounding = Annotated[
    str | None,
    typer.Option("--rounding", help="half_even, half_up or floor; half_up where luts are counted."),
]
CalibrationMethod = Annotated[
    str | None,
    typer.Option("--calibration", help="max, percentile or mse: what automatic ranges hold of the values."),
]
UniformFirst = Annotated[
    bool | None,
    typer.Option(
        "--uniform-first/--no-uniform-first",
        help="Try plans with the same formats in every layer before the sampler begins.",
    ),
]
Overflow = Annotated[
    str | None, typer.Option("--overflow", help="saturate (unless given), saturate_symmetric or wrap.")
]
Sign = Annotated[
    str | None,
    typer.Option("--sign", help="auto: data after ReLU, softmax, sigmoid have no sign; signed unless given."),
]
ObjectiveNames = Annotated[
    list[str] | None, typer.Option("--objective", help="A metric to improve; give it several times.")
]
Bounds = Annotated[list[str] | None, typer.Option("--constraint", help="A bound such as 'bitops<=5000'.")]
Sampler = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        help="A name of 'narrower samplers'; guided with --trials, brute_force without them.",
        autocompletion=like_sampler,
    ),
]
Trials = Annotated[int | None, typer.Option("--trials", min=1, max=MOST, help="Distinct plans to evaluate.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        parser=number_within(1e-3, 1e9),
        metavar="FLOAT",
        help="Seconds after which the search ends.",
    ),
]
DropDominated = Annotated[
    bool | None, typer.Option("--drop-dominated", help="Drop plans early that can no longer reach the front.")
]
Part = Annotated[
    str | None,
    typer.Option("--part", metavar="K/N", help="A share of the plans; 'narrower merge' joins them."),
]
AllowUncounted = Annotated[
    bool | None,
    typer.Option("--allow-uncounted", help="Search also where no plan changes more than 1 % of the macs."),
]
CacheMemory = Annotated[
    str, typer.Option("--cache-memory", help="Memory for values that plans share, such as 256MiB.")
]
Samples = Annotated[
    int | None, typer.Option("--samples", min=1, max=MOST, help="Samples of the validation part to score on.")
]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Of everything that is left to chance.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Serve a page that shows the search while it runs.")]
ClassOrder = Annotated[
    str | None,
    typer.Option("--class-order", help="Classes in the order of the model's outputs, such as g,q,w,z,t."),
]

# What a file says itself, and what is settled when a run begins.
WITHOUT_A_FILE = (
    "dataset",
    "target",
    "layers",
    "data_widths",
    "weight_widths",
    "bias_widths",
    "fraction",
    "rounding",
    "overflow",
    "sign",
    "calibration",
    "objective",
    "constraint",
)
WITH_A_FILE = ("set_values", "override")
OF_A_NEW_RUN = (
    "load",
    "sampler",
    "trials",
    "timeout",
    "drop_dominated",
    "part",
    "allow_uncounted",
    "uniform_first",
    "samples",
    "seed",
    "project",
    "class_order",
    *WITH_A_FILE,
)


def search(
    context: typer.Context,
    config: Config = None,
    load: Load = None,
    data_path: DataPath = None,
    train: Train = True,
    resume: Resume = None,
    model: Model = None,
    dataset: Dataset = None,
    target: Target = None,
    layers: Layers = ".*",
    data_widths: DataWidths = "4,8",
    weight_widths: WeightWidths = "2,4,8",
    bias_widths: BiasWidths = "8",
    fraction: Fractions = "NA",
    rounding: Rounding = None,
    overflow: Overflow = None,
    sign: Sign = None,
    calibration: CalibrationMethod = None,
    objective: ObjectiveNames = None,
    constraint: Bounds = None,
    sampler: Sampler = None,
    trials: Trials = None,
    timeout: Timeout = None,
    drop_dominated: DropDominated = None,
    part: Part = None,
    allow_uncounted: AllowUncounted = None,
    uniform_first: UniformFirst = None,
    jobs: Jobs = None,
    backend: BackendName = None,
    address: Address = None,
    cache_memory: CacheMemory = "1GiB",
    samples: Samples = None,
    seed: Seed = None,
    project: Project = None,
    class_order: ClassOrder = None,
    set_values: Set = None,
    override: Override = None,
    watch: Watch = False,
    as_json: Json = False,
) -> int:
    """Search the plans of a settings file, or of --model and --dataset, and print the front.

    With a file, --set and --override change any of its keys; --data-path, --class-order, --sampler,
    --trials, --timeout, --drop-dominated, --part, --allow-uncounted, --jobs, --backend, --address,
    --samples, --seed and --project take the place of what it says.

    Writes a run below runs/. Ctrl-C ends the search and writes the front of what was tried.
    """
    if sum(value is not None for value in (config, resume, model)) != 1:
        raise SettingsError(
            "give one of --config FILE (a new search), --model MODEL --dataset DATASET (without a file) "
            "and --resume RUN"
        )
    order = names_between_commas(class_order) if class_order is not None else None
    cache_bytes = byte_count("--cache-memory", cache_memory)
    run = RunDirectory(resume) if resume else None
    if run is not None:
        run.require(run.settings, run.weights)
    if config or run:
        refuse_given(context, WITHOUT_A_FILE, "go with --model; a file says it itself")
    if run:
        refuse_given(context, OF_A_NEW_RUN, "go with a new search; a run goes on as it began")
    if model:
        refuse_given(context, WITH_A_FILE, "go with --config")
    file = run.settings if run else config
    setup = {
        "sampler": sampler,
        "n_trials": trials,
        "timeout": timeout,
        "drop_dominated": drop_dominated,
        "part": part,
        "allow_uncounted": allow_uncounted,
        "uniform_first": uniform_first,
    }
    if file is not None:
        loaded = read_settings(read_layers(file, override or (), set_values or ()), data_path)
        settings = with_options(
            loaded.settings,
            setup=setup,
            samples=samples,
            top={"seed": seed, "project": project, "data_path": data_path, "class_order": order},
        )
        loaded = replace(loaded, settings=settings)
    else:
        if dataset is None:
            raise SettingsError("--model needs --dataset; 'narrower datasets' lists what there is")
        settings = settings_from_options(
            layers=layers,
            widths={
                "data_in": data_widths.split(","),
                "weight": weight_widths.split(","),
                "bias": bias_widths.split(","),
            },
            fractions=fraction,
            rounding=rounding,
            overflow=overflow,
            sign=sign,
            calibration=calibration,
            objectives=objective or [next(iter(task_metrics())), "bitops"],
            bounds=constraint or [],
            setup=setup | {"sampler": sampler or default_sampler(trials)},
            samples=samples,
            top={
                "model": model,
                "dataset": wished(dataset, target),
                "data_path": data_path,
                "seed": seed,
                "project": project,
                "class_order": order,
            },
        )
        loaded = LoadedSettings(settings, ())
    wishes = BackendWishes(jobs, backend, address)
    return _run(loaded, run, load, train, as_json, watch, wishes, cache_bytes)


def refuse_given(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Refuse options that were given on the command line although they mean nothing here."""
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        options = ", ".join("--" + name.removesuffix("_values").replace("_", "-") for name in given)
        raise SettingsError(f"{options}: {why}")


def _run(
    loaded: LoadedSettings,
    run: RunDirectory | None,
    load: Path | None,
    may_train: bool,
    as_json: bool,
    is_watched: bool,
    backend: BackendWishes,
    cache_bytes: int,
) -> int:
    from narrower.cli.progress import search_progress
    from narrower.cli.show import print_record
    from narrower.settings.convert import trains_after
    from narrower.study.limits import check_counted
    from narrower.study.possible import check_backend
    from narrower.study.run_facts import begin_run, resumed_run
    from narrower.study.study import pose_study, resumed_study, search, settled, with_weights
    from narrower.study.unseen import unseen_widths

    loaded = settled(loaded, is_new=run is None)
    say_ignored(loaded)
    study = resumed_study(loaded, run) if run else pose_study(loaded, load, say=note)
    problem = study.problem
    warn(*problem.notes)
    if run is None:  # a search does not begin where plans reach too little of the network
        with located(loaded.layers):
            check_counted(problem.program.network, allowed=problem.options.allow_uncounted)
    problem = replace(problem, backend=backend.over(problem.backend))
    check_backend(problem)
    needs_training = study.weights is None and problem.preparation.needs_weights
    must_be_there = needs_training and not may_train
    if must_be_there:  # before anything is written
        _check_weights(first_free(study.name, holds_search))
    with (
        run.locked() if run else claimed(study.name, holds_search) as target,
        RunLog(target.log) as log,
        watched(target) if is_watched else nullcontext(),
    ):
        if must_be_there:
            _check_weights(target)
        began = "resumed" if run else "began"
        log.write(f"{began}: {problem.space.size:,} plans, {problem.options}, {problem.backend}")

        def say(text: str) -> None:
            tell(text)
            log.write(text)

        if run is None and study.weights is not None:
            say(f"weights: {study.weights}")
        study = replace(study, problem=problem)
        problem = with_weights(study, target, say=say, show_progress=messages().is_terminal)
        warn(*unseen_widths(problem))
        for warning in (*study.settings.notes, *problem.notes, *unseen_widths(problem)):
            log.write(f"warning: {warning}")
        settings = settings_text(study.settings.settings)
        with resumed_run(problem, run, say=warn) if run else begin_run(problem, target, settings) as store:
            record = search(
                problem, target, store, show_progress=search_progress, cache_bytes=cache_bytes, say=warn
            )
        if trains_after(study.settings.settings) and record.summary.stopped != "interrupted":
            _finetune(problem, target, study.settings.settings, record)
        log.write(f"ended: {record.summary.completeness}, {len(record.members)} plans on the front")
    if as_json:
        print_json(record.to_dict() | {"run": str(target.path)})
    else:
        print_record(record, target)
    return 130 if record.summary.stopped == "interrupted" else 0


def _finetune(problem: "Problem", run: RunDirectory, settings: "RunSettings", record: "RunRecord") -> None:
    from narrower.cli.progress import step_progress
    from narrower.settings.convert import finetuning
    from narrower.study.finetuned_run import finetuned

    how = finetuning(settings)
    members = [member.number for member in record.members]
    with step_progress() as seen:
        finetuned(problem, run, how, [], members, every=how.rounds > 1, seen=seen)


def _check_weights(target: RunDirectory) -> None:
    """Check that an earlier training left its weights in this directory."""
    if not target.checkpoint.is_file() or is_unfinished(target.path):
        raise SettingsError("there are no weights: give --load FILE or load_name, or leave out --no-train")


def holds_search(run: RunDirectory) -> bool:
    """Whether the trials of a search lie here already."""
    return run.trials.exists()


def say_ignored(loaded: LoadedSettings) -> None:
    """Name the keys of a file that mean nothing here, in one warning, and what else was made of it."""
    if loaded.ignored:
        warn(f"without meaning here and passed over: {', '.join(loaded.ignored)}")
    warn(*loaded.notes)
