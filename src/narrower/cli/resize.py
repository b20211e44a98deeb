"""``narrower resize``: other widths for some layers, neighbours follow."""

from dataclasses import asdict, astuple
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.complete import like_layer
from narrower.cli.console import answer, note, print_json, print_table, warn
from narrower.cli.groups import DataPath, Dataset, Json, Model, Shape, example_for
from narrower.cli.numbers import LARGEST_SEED
from narrower.errors import SettingsError
from narrower.store.files import check_output


class Weights(StrEnum):
    """What the resized model starts from."""

    slice = "slice"
    net2net = "net2net"
    scratch = "scratch"


Multipliers = Annotated[
    list[str] | None, typer.Option("--set", metavar="LAYER=FACTOR", help="Times its width; may be repeated.")
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channels",
        metavar="LAYER=N",
        help="Channels of a layer; may be repeated.",
        autocompletion=like_layer,
    ),
]
Init = Annotated[
    Weights, typer.Option("--init", help="Keep the most important, keep the outputs, or begin anew.")
]
Load = Annotated[Path | None, typer.Option("--load", help="Weights of the model.")]
Output = Annotated[Path, typer.Option("--output", help="Where to write the model (safetensors).")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Of what is left to chance.")]


def resize(
    model: Model,
    multipliers: Multipliers = None,
    channels: Channels = None,
    init: Init = Weights.slice,
    load: Load = None,
    output: Output = Path("resized.safetensors"),
    dataset: Dataset = None,
    shape: Shape = None,
    data_path: DataPath = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Resize layers of MODEL, print its layers before and after, and save it.

    narrower.load_resized(FILE) loads it back, with model=... where the model is your own.
    """
    factors = {layer: _number("--set", layer, text) for layer, text in _pairs("--set", multipliers)}
    counts = {
        layer: int(_number("--channels", layer, text)) for layer, text in _pairs("--channels", channels)
    }
    if not factors and not counts:
        raise SettingsError("nothing to resize: give --set LAYER=FACTOR or --channels LAYER=N")
    if output.suffix != ".safetensors":
        raise SettingsError(f"--output: found {str(output)!r}; expected a name ending in .safetensors")
    check_output(output)
    example, sizes = example_for(model, dataset, shape, data_path)
    from narrower.study.resizing import NewWidths, save_with_widths

    wanted = NewWidths(factors, counts, init.value, seed)
    found = save_with_widths(model, example, sizes, wanted, output, load=load, say=note)
    warn(*found.notes)
    if as_json:
        print_json({"output": str(output), "layers": [asdict(layer) for layer in found.layers]})
        return
    print_table(("layer", "parameters", "after", "macs", "after"), [astuple(layer) for layer in found.layers])
    answer(f"{output}: {output.stat().st_size:,} bytes")


def _pairs(option: str, texts: list[str] | None) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for text in texts or ():
        layer, sign, value = text.partition("=")
        if not sign or not layer.strip():
            raise SettingsError(f"{option}: found {text!r}; expected a layer and a number, such as fc=2")
        if layer.strip() in dict(pairs):
            raise SettingsError(f"{option}: {layer.strip()} is given twice")
        pairs.append((layer.strip(), value))
    return pairs


def _number(option: str, layer: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf") or (option == "--channels" and number != int(number)):
        allowed = "a number above 0" if option == "--set" else "a whole number from 1 up"
        raise SettingsError(f"{option} {layer}: found {text!r}; allowed: {allowed}")
    return number
