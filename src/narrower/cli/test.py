"""``narrower test``: how well given weights do on each part of a data set."""

from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import interval_text, note, print_json, print_table, warn
from narrower.cli.numbers import MOST
from narrower.cli.train import ClassOrder, DataPath, Dataset, Json, Model, Target
from narrower.data.catalogue import wished
from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.models.catalogue import model_name
from narrower.settings.checks import names_between_commas
from narrower.tasks.task import LOSS, Ending
from narrower.training.record import unfinished_note

Load = Annotated[
    Path, typer.Option("--load", help="Weights: a Lightning checkpoint, a state dict or safetensors.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, max=MOST, help="Samples at a time.")]


def test(
    model: Model,
    dataset: Dataset,
    load: Load,
    batch_size: BatchSize = SAMPLES_AT_ONCE,
    target: Target = None,
    data_path: DataPath = None,
    class_order: ClassOrder = None,
    as_json: Json = False,
) -> None:
    """Print the metrics of MODEL with the weights of a file, on each part of DATASET."""
    model = model_name(model)
    from narrower.cli.loaded_data import loaded_data
    from narrower.models.build import build_model
    from narrower.models.checkpoints import load_weights
    from narrower.models.class_order import check_class_order, class_order_problem, in_class_order
    from narrower.models.ending import ending_of
    from narrower.models.finite import check_finite
    from narrower.models.fit import check_fit
    from narrower.models.quality import model_quality

    data = loaded_data(wished(dataset, target), data_path)
    if class_order is not None:
        data = in_class_order(data, names_between_commas(class_order))
    network = load_weights(build_model(model, sizes=data.sizes), load, say=note)
    check_fit(network, data)
    warn(*unfinished_note(load))
    for name, part in data.parts.items():
        check_finite(network, part, f"the {name} part")
    if class_order is None:
        check_class_order(network, data, str(load))
    elif doubt := class_order_problem(network, data):
        warn(f"{load}: {doubt}")
    trained_by = data.task.loss(ending_of(network, data.train.arguments))
    if trained_by.warning is not None:
        warn(f"{model} {trained_by.warning}")
    metrics = [metric.name for metric in data.task.metrics]
    parts: dict[str, dict[str, object]] = {}
    rows: list[tuple[object, ...]] = []
    for name, part in data.parts.items():
        quality = model_quality(network, part, batch_size=batch_size)
        first, *others = quality.metrics.values()
        rows.append((name, len(part), first, interval_text(quality.interval), *others))
        values = {name: value if isfinite(value) else None for name, value in quality.metrics.items()}
        parts[name] = {"samples": len(part), **values, f"{metrics[0]}_interval": quality.interval}
    if as_json:
        named = {"model": model, "data_set": data.name, "load": str(load), "loss": trained_by.name}
        print_json({**named, data.task.words.names_key: data.output_names, "parts": parts})
        return
    usual = trained_by.name == data.task.loss(Ending()).name
    names = [trained_by.name if name == LOSS and not usual else name for name in metrics]
    print_table(["part", "samples", names[0], "95 % interval", *names[1:]], rows)
