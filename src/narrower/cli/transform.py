"""``narrower transform``: apply a plan and save the model."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import answer, print_json
from narrower.errors import SettingsError
from narrower.files import check_output
from narrower.settings.transform_file import load_transform_file

Config = Annotated[
    Path, typer.Option("--config", help="Model, weights and plan, as 'narrower pick' prints them.")
]
Output = Annotated[Path, typer.Option("--output", help="Where to write the model (safetensors).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def transform(config: Config, output: Output = Path("model.safetensors"), as_json: Json = False) -> None:
    """Apply the plan of a file and save the model with its plan.

    narrower.load_compressed(FILE) loads it back.
    """
    wanted = load_transform_file(config)
    if output.suffix != ".safetensors":
        raise SettingsError(f"--output: found {str(output)!r}; expected a name ending in .safetensors")
    check_output(output)
    from narrower.export.compressed import save_compressed
    from narrower.study.resized_files import planned_model

    model = planned_model(wanted.model, wanted.load, wanted.plan)
    save_compressed(model, wanted.model, wanted.plan, output)
    size = output.stat().st_size
    if as_json:
        print_json({"model": wanted.model, "output": str(output), "bytes": size})
    else:
        answer(f"{output}: {wanted.model}, {len(wanted.plan.layers)} layers planned, {size:,} bytes")
