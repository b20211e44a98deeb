"""The options of ``narrower search``, and which of them go with a file, without one, or with a new run."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.complete import like_run, like_sampler, like_tracker
from narrower.cli.numbers import LARGEST_SEED, MOST, number_within

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
    typer.Option(
        "--calibration",
        help="max, percentile, mse or cross_entropy: what automatic ranges hold of the values.",
    ),
]
SensitivityFirst = Annotated[
    bool | None,
    typer.Option(
        "--sensitivity-first/--no-sensitivity-first",
        help="Let the guided sampler begin where layers lose bits at the least loss.",
    ),
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
    typer.Option("--allow-uncounted", help="Search also where no rule says what an operator computes."),
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
Trackers = Annotated[
    list[str] | None,
    typer.Option(
        "--tracker",
        metavar="NAME",
        help="Tell csv, jsonl, tensorboard, mlflow or wandb of the trials; give it several times.",
        autocompletion=like_tracker,
    ),
]
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
    "sensitivity_first",
    "samples",
    "seed",
    "project",
    "tracker",
    "class_order",
    *WITH_A_FILE,
)
