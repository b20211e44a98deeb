"""``narrower transform``: apply a plan and save the model."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import answer, print_json
from narrower.errors import SettingsError
from narrower.files import check_output
from narrower.settings.transform_file import load_transform_file
from narrower.tasks.catalogue import model_name

Config = Annotated[
    Path, typer.Option("--config", help="Model, weights and plan, as 'narrower pick' prints them.")
]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Instead of the file's model: a name, or package.module:callable."),
]
Output = Annotated[Path, typer.Option("--output", help="Where to write the model (safetensors).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def transform(
    config: Config,
    model: Model = None,
    output: Output = Path("model.safetensors"),
    as_json: Json = False,
) -> None:
    """Apply the plan of a file and save the model with its plan.

    narrower.load_compressed(FILE) loads it back, with model=... where the model is your own.
    """
    wanted = load_transform_file(config)
    if output.suffix != ".safetensors":
        raise SettingsError(f"--output: found {str(output)!r}; expected a name ending in .safetensors")
    check_output(output)
    from narrower.export.compressed import save_compressed
    from narrower.study.resized_files import planned_model

    name = model_name(model or wanted.model)
    planned = planned_model(name, wanted.load, wanted.plan)
    save_compressed(planned, name, wanted.plan, output)
    size = output.stat().st_size
    if as_json:
        print_json({"model": name, "output": str(output), "bytes": size})
    else:
        answer(f"{output}: {name}, {len(wanted.plan.layers)} layers planned, {size:,} bytes")
