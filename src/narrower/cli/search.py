"""``narrower search``: the Pareto front of quality against cost."""

from dataclasses import replace
from pathlib import Path

import typer

from narrower.cli.backend_options import Address, BackendName, Device, Jobs
from narrower.cli.passed_over import refuse_given
from narrower.cli.project import Project
from narrower.cli.run_search import run_search
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
from narrower.data.catalogue import wished
from narrower.errors import SettingsError
from narrower.searching.samplers.catalogue import default_sampler
from narrower.settings.backend import BackendWishes
from narrower.settings.checks import names_between_commas
from narrower.settings.from_options import settings_from_options, with_options
from narrower.settings.layers import read_layers
from narrower.settings.load import LoadedSettings
from narrower.store.run_directory import RunDirectory
from narrower.study.read import read_settings
from narrower.tasks.catalogue import task_metrics


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
    _check_kind(context, config, resume, model)
    order = names_between_commas(class_order) if class_order is not None else None
    cache_bytes = byte_count("--cache-memory", cache_memory)
    run = RunDirectory(resume) if resume else None
    if run is not None:
        run.require(run.settings, run.weights)
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
    return run_search(loaded, run, load, train, as_json, watch, wishes, cache_bytes)


def _check_kind(context: typer.Context, config: Path | None, resume: Path | None, model: str | None) -> None:
    """Check that one kind of search is asked for, and with the options that it has."""
    if sum(value is not None for value in (config, resume, model)) != 1:
        raise SettingsError(
            "give one of --config FILE (a new search), --model MODEL --dataset DATASET (without a file) "
            "and --resume RUN"
        )
    if config or resume:
        refuse_given(context, WITHOUT_A_FILE, "go with --model; a file says it itself")
    if resume:
        refuse_given(context, OF_A_NEW_RUN, "go with a new search; a run goes on as it began")
    if model:
        refuse_given(context, WITH_A_FILE, "go with --config")
