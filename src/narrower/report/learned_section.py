"""The bits of single weights, where a training learned them: as pictures, and over the training."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from narrower.plan.formats.stored_each import TENSORS, StoredEach
from narrower.plan.formats.text import parse_format
from narrower.report.figures import SCALE
from narrower.report.findings import Findings
from narrower.report.page import Figure, Section, plot_text, rounded
from narrower.report.record import Member
from narrower.searching.space_record import PlanTables

LARGEST = 2**16  # weights of a layer that are drawn one by one
COLOURS = ("var(--accent)", "var(--warm)", "var(--good)", "var(--violet)", "var(--faint)", "var(--text)")


def learned_section(findings: Findings) -> Section | None:
    """Widths of the plan to take, weight by weight, and how they changed; None where none were learned."""
    chosen = findings.advice.chosen or (findings.members[-1] if findings.members else None)
    if chosen is None or not _stored(findings.plan(chosen)):
        return None
    widths = weight_widths(findings, chosen)
    pruned = sum(int((each == 0).sum()) for each in widths.values())
    count = sum(each.size for each in widths.values())
    sentence = (
        f"Of {count:,} weights of trial {chosen.number:,}, {pruned:,} ({pruned / count:.0%}) have no bits: "
        "they are gone. Each picture is one layer, a row for each output and a column for each input; the "
        "darker, the more bits, with the sign."
        if count
        else f"The weights of trial {chosen.number:,} cannot be drawn: its file is not here."
    )
    figures = [_picture(layer, each) for layer, each in widths.items() if each.size <= LARGEST]
    return Section("Bits of single weights", (sentence,), (*figures, _over_training(findings)))


def weight_widths(findings: Findings, member: Member) -> dict[str, NDArray[np.int8]]:
    """For each layer the width of every weight [O, I], from the member's file; nothing where it is gone."""
    if member.weights is None:
        return {}
    try:
        arrays = load_file(findings.run.path / member.weights)
    except (OSError, SafetensorError):
        return {}
    found = {}
    for layer, number_format in _stored(findings.plan(member)).items():
        for name, array in arrays.items():
            parts = name.removeprefix(TENSORS).split(".")
            if name.startswith(TENSORS) and parts[-1] == "widths" and number_format.digest in parts[1]:
                found[layer] = array
    return found


def _stored(plan: PlanTables) -> dict[str, StoredEach]:
    """The formats of weights whose entries have widths of their own, by layer."""
    found = {}
    for layer, table in plan.items():
        number_format = parse_format(str(table.get("weight", "float32")))
        if isinstance(number_format, StoredEach):
            found[layer] = number_format
    return found


def _picture(layer: str, widths: NDArray[np.int8]) -> Figure:
    matrix = widths.reshape(len(widths), -1)
    return Figure(
        f"{layer}: bits of each weight",
        (
            {
                "type": "heatmap",
                "z": matrix.tolist(),
                "colorscale": SCALE,
                "zmin": 0,
                "zmax": max(8, int(matrix.max(initial=0))),
                "showscale": False,
                "xgap": 1,
                "ygap": 1,
                "hovertemplate": "output %{y}, input %{x}: %{z} bits<extra></extra>",
            },
        ),
        {
            "title": {"text": plot_text(layer)},
            "xaxis": {"title": {"text": "input"}, "showgrid": False},
            "yaxis": {"title": {"text": "output"}, "showgrid": False, "autorange": "reversed"},
        },
        height=140 + min(12 * len(matrix) + 60, 420),
    )


def _over_training(findings: Findings) -> Figure:
    """Mean bits of each layer's weights in the networks that the training proposed, in their order."""
    table = findings.table
    plans = [_stored(table.space.plan(index)) for index in table.plan_indices]
    layers = dict.fromkeys(layer for plan in plans for layer in plan)
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": plot_text(layer),
            "x": table.numbers.tolist(),
            "y": rounded([plan[layer].mean_bits if layer in plan else float("nan") for plan in plans]),
            "line": {"color": COLOURS[position % len(COLOURS)], "width": 2},
            "marker": {"size": 4},
            "hovertemplate": "trial %{x}: %{y} bits<extra>%{fullData.name}</extra>",
        }
        for position, layer in enumerate(layers)
    ]
    return Figure(
        "mean bits of the weights over the training",
        tuple(traces),
        {
            "xaxis": {"title": {"text": "trial, in the order in which the training found it"}},
            "yaxis": {"title": {"text": "mean bits of a weight"}, "rangemode": "tozero"},
        },
    )
