"""``narrower test``: how well given weights do on each part of a data set."""

from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import note, print_json, print_table, warn
from narrower.cli.numbers import MOST
from narrower.cli.train import ClassOrder, DataPath, Dataset, Json, Model
from narrower.intervals import wilson_interval
from narrower.models.catalogue import model_name
from narrower.quality import CROSS_ENTROPY
from narrower.settings.checks import names_between_commas
from narrower.training.record import unfinished_note

Load = Annotated[
    Path, typer.Option("--load", help="Weights: a Lightning checkpoint, a state dict or safetensors.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, max=MOST, help="Samples at a time.")]


def test(
    model: Model,
    dataset: Dataset,
    load: Load,
    batch_size: BatchSize = 4096,
    data_path: DataPath = None,
    class_order: ClassOrder = None,
    as_json: Json = False,
) -> None:
    """Print accuracy and loss of MODEL with the weights of a file, on each part of DATASET."""
    model = model_name(model)
    from narrower.data.datasets import load_data_set
    from narrower.models.build import build_model
    from narrower.models.checkpoints import load_weights
    from narrower.models.finite import check_finite
    from narrower.tasks.class_order import check_class_order, class_order_problem, in_class_order
    from narrower.tasks.ending import ending_of
    from narrower.tasks.scoring import check_fit, score

    data = load_data_set(dataset, path=data_path)
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
    ending = ending_of(network, data.train.inputs)
    warn(*ending.warnings(model))
    parts: dict[str, dict[str, object]] = {}
    rows: list[tuple[object, ...]] = []
    for name, part in data.parts.items():
        quality = score(network, part, batch_size=batch_size)
        accuracy, loss = quality["accuracy"], quality["loss"]
        low, high = wilson_interval(round(accuracy * len(part)), len(part))
        rows.append((name, len(part), accuracy, f"{low:.4f} to {high:.4f}", loss))
        parts[name] = {
            "samples": len(part),
            "accuracy": accuracy,
            "accuracy_interval": (low, high),
            "loss": loss if isfinite(loss) else None,
        }
    if as_json:
        named = {"model": model, "data_set": data.name, "load": str(load), "loss": ending.loss}
        print_json({**named, "class_names": data.class_names, "parts": parts})
        return
    loss_name = "loss" if ending.loss == CROSS_ENTROPY else ending.loss
    print_table(["part", "samples", "accuracy", "95 % interval", loss_name], rows)
