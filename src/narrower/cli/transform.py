"""``narrower transform``: apply a plan and save the model."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import answer, note, print_json
from narrower.errors import RunError, SettingsError
from narrower.models.catalogue import model_name
from narrower.settings.transform_file import TransformFile, load_transform_file
from narrower.store.files import check_output
from narrower.store.run_files import compare_files, file_hash, run_of
from narrower.store.trials import TrialStore

Config = Annotated[
    Path, typer.Option("--config", help="Model, weights and plan, as 'narrower pick' prints them.")
]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Instead of the file's model: a name, or package.module:callable."),
]
Output = Annotated[Path, typer.Option("--output", help="Where to write the model (safetensors).")]
Corrected = Annotated[
    str | None,
    typer.Option(
        "--correct-biases",
        metavar="DATASET",
        help="Move biases so that rounding leaves the means of channels, on training samples of a data set.",
    ),
]
Rounding = Annotated[
    str | None,
    typer.Option(
        "--adaround",
        metavar="DATASET",
        help="Round weights so that each product changes least, on training samples of a data set.",
    ),
]
Norms = Annotated[
    str | None,
    typer.Option(
        "--estimate-norms",
        metavar="DATASET",
        help="Give batch norms the statistics of the rounded network, on training samples of a data set.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def transform(
    config: Config,
    model: Model = None,
    output: Output = Path("model.safetensors"),
    correct_biases: Corrected = None,
    adaround: Rounding = None,
    estimate_norms: Norms = None,
    as_json: Json = False,
) -> None:
    """Apply the plan of a file and save the model with its plan.

    narrower.load_compressed(FILE) loads it back, with model=... where the model is your own.
    """
    given = {"rounding": adaround, "biases": correct_biases, "norms": estimate_norms}
    ways = [way for way, data_set in given.items() if data_set is not None]
    data_sets = {data_set for data_set in given.values() if data_set is not None}
    if len(data_sets) > 1:
        raise SettingsError(
            f"--adaround, --correct-biases and --estimate-norms name different data sets "
            f"({', '.join(sorted(data_sets))}); give one"
        )
    wanted = load_transform_file(config)
    if output.suffix != ".safetensors":
        raise SettingsError(f"--output: found {str(output)!r}; expected a name ending in .safetensors")
    check_output(output)
    _check_weights(wanted)
    from narrower.study.transformed import save_transformed

    name = model_name(model or wanted.model)
    adjusted_on = next(iter(data_sets), None)
    plan = save_transformed(name, wanted.load, wanted.plan, output, ways=ways, adjusted_on=adjusted_on)
    size = output.stat().st_size
    if as_json:
        print_json({"model": name, "output": str(output), "bytes": size})
    else:
        answer(f"{output}: {name}, {len(plan.layers)} layers planned, {size:,} bytes")


def _check_weights(wanted: TransformFile) -> None:
    """Check that the weights are those that the plan was picked for, and that their run is whole.

    Raises:
        RunError: they are not, or it is not.
    """
    path = wanted.load
    if path.is_file() and wanted.weights_sha256 not in (None, file_hash(path)):
        raise RunError(
            f"{path}: these are not the weights that the plan was picked for (their SHA-256 is another); "
            "pick again, or leave out weights_sha256"
        )
    if (run := run_of(path)) is not None:
        with TrialStore.open(run.trials, read_only=True) as store:
            for line in compare_files(run, store.facts()):
                note(line)
