"""``narrower profile``: what each layer of a model costs."""

from dataclasses import asdict, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narrower.cli.console import note, print_json, print_table, warn
from narrower.cli.numbers import MOST
from narrower.cli.train import DataPath, Dataset, Json, Model
from narrower.cost.chop import ChopProfile, chop_profile
from narrower.cost.profile import Profile
from narrower.cost.profile import profile as own_profile
from narrower.models.catalogue import model_name

if TYPE_CHECKING:
    from narrower.export.latency import LatencyRow


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
    data_path: DataPath = None,
    as_json: Json = False,
) -> None:
    """Print what MODEL costs on samples of DATASET, layer by layer and in total.

    macs, flops and bitops are for one sample, unless --convention chop counts the whole batch.
    """
    model = model_name(model)
    from narrower.data.datasets import load_data_set
    from narrower.graph.called_modules import trace_or_call
    from narrower.models.build import build_model
    from narrower.models.checkpoints import load_weights
    from narrower.models.fit import check_fit

    data = load_data_set(dataset, path=data_path)
    network = build_model(model, sizes=data.sizes)
    if load is not None:
        network = load_weights(network, load, say=note)
    check_fit(network, data)
    program = trace_or_call(network, data.examples[0], model)
    found: Profile | ChopProfile
    if convention is Convention.chop:
        found = chop_profile(program.network, batch_size)
    else:
        found = own_profile(program.network, batch_size)
    rows: tuple[LatencyRow, ...] = ()
    if latency:
        from narrower.export.latency import float_latency
        from narrower.models.finite import check_finite

        check_finite(network, data.validation, "the validation part")
        rows = float_latency(network, data.validation.inputs, (1, batch_size))
    if as_json:
        extra = {"latency": [asdict(row) for row in rows]} if latency else {}
        print_json({"convention": convention.value, **asdict(found), **extra})
        return
    print_profile(found)
    if rows:
        print_table([field.name for field in fields(rows[0])], [list(asdict(row).values()) for row in rows])


def print_profile(found: Profile | ChopProfile) -> None:
    """Print the table of layers, then the totals."""
    columns = [field.name for field in fields(found.layers[0])]
    totals: dict[str, Any] = {
        name: value for name, value in asdict(found).items() if name not in ("layers", "uncounted", "notes")
    }
    rows = [list(asdict(layer).values()) for layer in found.layers]
    print_table(columns, rows, title=f"{totals.pop('model')} at batch size {totals.pop('batch_size')}")
    print_table(list(totals), [list(totals.values())], title="in total")
    warn(*found.notes)
