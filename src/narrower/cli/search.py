"""``narrower search``: the Pareto front of quality against cost."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from narrower.cli.backend_options import Address, BackendName, Device, Jobs
from narrower.cli.console import messages, note, print_json, tell, warn
from narrower.cli.project import Project
from narrower.cli.search_options import (
    OF_A_NEW_RUN,
    WITH_A_FILE,
    WITHOUT_A_FILE,
    AllowUncounted,
    BiasWidths,
    Bounds,
    CacheMemory,
    CalibrationMethod,
    ClassOrder,
    Config,
    Dataset,
    DataWidths,
    DropDominated,
    Fractions,
    Json,
    Layers,
    Load,
    Model,
    ObjectiveNames,
    Overflow,
    Part,
    Resume,
    Rounding,
    Sampler,
    Samples,
    Seed,
    SensitivityFirst,
    Sign,
    Timeout,
    Trackers,
    Train,
    Trials,
    UniformFirst,
    Watch,
    WeightWidths,
)
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
    from narrower.study.study import Study


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
    sensitivity_first: SensitivityFirst = None,
    jobs: Jobs = None,
    backend: BackendName = None,
    address: Address = None,
    device: Device = None,
    cache_memory: CacheMemory = "1GiB",
    samples: Samples = None,
    seed: Seed = None,
    project: Project = None,
    class_order: ClassOrder = None,
    set_values: Set = None,
    override: Override = None,
    watch: Watch = False,
    tracker: Trackers = None,
    as_json: Json = False,
) -> int:
    """Search the plans of a settings file, or of --model and --dataset, and print the front.

    With a file, --set and --override change any of its keys; --data-path, --class-order, --sampler,
    --trials, --timeout, --drop-dominated, --part, --allow-uncounted, --jobs, --backend, --address,
    --samples, --seed, --tracker and --project take the place of what it says.

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
        "sensitivity_first": sensitivity_first,
    }
    if file is not None:
        loaded = read_settings(read_layers(file, override or (), set_values or ()), data_path)
        settings = with_options(
            loaded.settings,
            setup=setup,
            samples=samples,
            trackers=tracker,
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
            trackers=tracker,
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
    wishes = BackendWishes(jobs, backend, address, device)
    return _run(loaded, run, load, train, as_json, watch, wishes, cache_bytes)


def refuse_given(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Refuse options that were given on the command line although they mean nothing here."""
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        options = ", ".join("--" + name.removesuffix("_values").replace("_", "-") for name in given)
        raise SettingsError(f"{options}: {why}")


def _posed(
    loaded: LoadedSettings, run: RunDirectory | None, load: Path | None, backend: BackendWishes
) -> "Study":
    """What is searched, after what is wrong with it or passed over was said."""
    from narrower.study.limits import check_counted
    from narrower.study.possible import check_backend
    from narrower.study.study import pose_study, resumed_study, settled

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
    return replace(study, problem=problem)


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
    from narrower.cli.print_record import print_record
    from narrower.cli.progress import search_progress
    from narrower.settings.convert_preparation import trains_after
    from narrower.store.trackers.catalogue import build_trackers
    from narrower.study.run_facts import begin_run, resumed_run
    from narrower.study.study import search, with_weights
    from narrower.study.tracked import Followers
    from narrower.study.unseen import unseen_widths

    trackers = build_trackers(loaded.settings.search.tracker.settings)
    study = _posed(loaded, run, load, backend)
    problem = study.problem
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
        problem = with_weights(study, target, say=say, show_progress=messages().is_terminal)
        warn(*unseen_widths(problem))
        for warning in (*study.settings.notes, *problem.notes, *unseen_widths(problem)):
            log.write(f"warning: {warning}")
        settings = settings_text(study.settings.settings)
        with resumed_run(problem, run, say=warn) if run else begin_run(problem, target, settings) as store:
            record = search(
                problem,
                target,
                store,
                show_progress=search_progress,
                cache_bytes=cache_bytes,
                say=warn,
                followers=Followers(trackers),
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
    from narrower.settings.convert_preparation import finetuning
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
