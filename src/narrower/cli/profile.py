"""``narrower profile``: what each layer of a model costs."""

from dataclasses import asdict, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narrower.cli.console import note, print_json, print_table, warn
from narrower.cli.numbers import MOST
from narrower.cli.train import DataPath, Dataset, Json, Model, Target
from narrower.data.catalogue import wished
from narrower.models.catalogue import model_name

if TYPE_CHECKING:
    from narrower.study.profiled import Profiled


class Convention(StrEnum):
    """Whose rules count."""

    narrower = "narrower"
    chop = "chop"


BatchSize = Annotated[
    int, typer.Option("--batch-size", min=1, max=MOST, help="Samples that the buffers hold.")
]
Rules = Annotated[Convention, typer.Option("--convention", help="Our definitions, or those of MASE/chop.")]
Latency = Annotated[bool, typer.Option("--latency", help="Time the float32 model at batch 1 and N.")]
Load = Annotated[Path | None, typer.Option("--load", help="Weights of the model; they change no cost.")]


def profile(
    model: Model,
    dataset: Dataset,
    batch_size: BatchSize = 1,
    convention: Rules = Convention.narrower,
    latency: Latency = False,
    load: Load = None,
    target: Target = None,
    data_path: DataPath = None,
    as_json: Json = False,
) -> None:
    """Print what MODEL costs on samples of DATASET, layer by layer and in total.

    macs, flops and bitops are for one sample, unless --convention chop counts the whole batch.
    """
    model = model_name(model)
    from narrower.cli.loaded_data import loaded_data
    from narrower.study.profiled import profiled

    data = loaded_data(wished(dataset, target), data_path)
    found = profiled(
        model,
        data,
        batch_size,
        as_chop=convention is Convention.chop,
        with_latency=latency,
        load=load,
        say=note,
    )
    if as_json:
        extra = {"latency": [asdict(row) for row in found.latency]} if latency else {}
        print_json({"convention": convention.value, **asdict(found.costs), **extra})
        return
    print_profile(found)


def print_profile(found: "Profiled") -> None:
    """Print the table of layers, then the totals, then latencies where they were measured."""
    costs, latency = found.costs, found.latency
    columns = [field.name for field in fields(costs.layers[0])]
    totals: dict[str, Any] = {
        name: value for name, value in asdict(costs).items() if name not in ("layers", "uncounted", "notes")
    }
    rows = [list(asdict(layer).values()) for layer in costs.layers]
    print_table(columns, rows, title=f"{totals.pop('model')} at batch size {totals.pop('batch_size')}")
    print_table(list(totals), [list(totals.values())], title="in total")
    warn(*costs.notes)
    if latency:
        print_table(
            [field.name for field in fields(latency[0])], [list(asdict(row).values()) for row in latency]
        )
