"""``narrower sensitivity``: what rounding one layer alone does to a network."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import messages, note, print_json, print_table, tell
from narrower.cli.numbers import MOST
from narrower.cli.train import ClassOrder, DataPath, Dataset, Json, Model, Target
from narrower.data.catalogue import wished
from narrower.errors import SettingsError
from narrower.models.catalogue import model_name
from narrower.report.layer_sensitivity import LayerSensitivity
from narrower.settings.checks import names_between_commas
from narrower.settings.format_checks import width

Load = Annotated[
    Path, typer.Option("--load", help="Weights: a Lightning checkpoint, a state dict or safetensors.")
]
Widths = Annotated[str, typer.Option("--widths", help="Widths of fixed point, between commas.")]
Formats = Annotated[
    list[str] | None, typer.Option("--format", help="Another format, such as mxfp4; give it several times.")
]
Samples = Annotated[
    int | None,
    typer.Option("--samples", min=1, max=MOST, help="Samples of the validation part; all unless given."),
]
Signed = Annotated[
    bool, typer.Option("--signed", help="Give all data a sign, those after ReLU and the like as well.")
]
Plot = Annotated[Path | None, typer.Option("--plot", help="Write a picture to this file (png, svg, pdf).")]
PICTURES = (".png", ".svg", ".pdf")


def sensitivity(
    model: Model,
    dataset: Dataset,
    load: Load,
    widths: Widths = "8,6,4,3,2",
    formats: Formats = None,
    samples: Samples = None,
    signed: Signed = False,
    plot: Plot = None,
    target: Target = None,
    data_path: DataPath = None,
    class_order: ClassOrder = None,
    as_json: Json = False,
) -> None:
    """Round one layer of MODEL at a time (weight, data, both) and say what that does on DATASET.

    The order at the end says which layer should lose bits first: the least added loss for each bit operation.
    """
    model = model_name(model)
    wanted = _widths(widths)
    if plot is not None and plot.suffix not in PICTURES:
        raise SettingsError(
            f"--plot: found {str(plot)!r}; allowed: a file that ends in {', '.join(PICTURES)}"
        )
    from narrower.cli.loaded_data import loaded_data
    from narrower.cli.progress import step_progress, unseen
    from narrower.models.build import build_model
    from narrower.models.checkpoints import load_weights
    from narrower.models.class_order import check_class_order, in_class_order
    from narrower.models.fit import check_fit
    from narrower.study.problem import first_samples
    from narrower.study.sensitivity import layer_sensitivity

    data = loaded_data(wished(dataset, target), data_path)
    if class_order is not None:
        data = in_class_order(data, names_between_commas(class_order))
    network = load_weights(build_model(model, sizes=data.sizes), load, say=note)
    check_fit(network, data)
    if class_order is None:
        check_class_order(network, data, str(load))
    part = first_samples(data, "validation", samples)
    with step_progress() if messages().is_terminal else nullcontext(unseen) as report:
        found = layer_sensitivity(
            network.eval(),
            model,
            data,
            part,
            widths=wanted,
            formats=tuple(dict.fromkeys(formats or ())),
            signed=signed,
            progress=partial(report, "plans"),
        )
    if plot is not None:
        from narrower.report.sensitivity_plot import write_sensitivity_plot

        write_sensitivity_plot(found, plot, model)
    if as_json:
        print_json(_json(found, model, data.name))
        return
    _print(found, data.task.metrics[0].name)
    if plot is not None:
        tell(f"picture: {plot}")


def _widths(text: str) -> list[int]:
    found = []
    for part in names_between_commas(text):
        try:
            value = width(int(part))
        except ValueError:
            raise SettingsError(f"--widths: found {part!r}; allowed: whole numbers from 1 to 32") from None
        found.append(int(value))
    return list(dict.fromkeys(found))


def _json(found: LayerSensitivity, model: str, data_set: str) -> dict[str, object]:
    measured = [
        {**asdict(each), "sqnr_db": each.sqnr_db if isfinite(each.sqnr_db) else None}
        for each in found.measured
    ]
    order = [{**asdict(step), "price": step.price} for step in found.order]
    return {
        "model": model,
        "data_set": data_set,
        "samples": found.samples,
        "float32": dict(found.float32),
        "formats": list(found.formats),
        "measured": measured,
        "order": order,
    }


def _print(found: LayerSensitivity, metric: str) -> None:
    rows: list[Sequence[object]] = [
        (each.layer, each.rounded, each.format, *_values(each.metrics, metric), each.added_loss, each.sqnr_db)
        for each in found.measured
    ]
    rows.insert(0, ("none", "", "float32", *_values(found.float32, metric), 0.0, float("inf")))
    columns = ("layer", "rounded", "format", metric, "loss", "added loss", "output SQNR, dB")
    print_table(columns, rows, title=f"one layer rounded at a time, {found.samples:,} samples")
    steps = [
        (number, step.layer, f"{step.before} -> {step.after}", step.added_loss, step.saved_bitops)
        for number, step in enumerate(found.order, start=1)
    ]
    print_table(
        ("", "layer", "format", "added loss", "saved bitops"),
        steps,
        title="the order in which layers should lose bits: the least added loss for a bit operation first",
    )


def _values(metrics: object, metric: str) -> tuple[object, object]:
    assert isinstance(metrics, dict)
    return metrics[metric], metrics["loss"]
