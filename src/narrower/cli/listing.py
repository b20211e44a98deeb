"""``narrower models``, ``datasets``, ``samplers``, ``metrics``: what there is, by name."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from narrower.cli.console import print_json, print_table
from narrower.data.catalogue import DATA_SETS
from narrower.models.catalogue import MODELS
from narrower.searching.objective import listed_metrics
from narrower.searching.samplers.catalogue import SAMPLERS

Json = Annotated[bool, typer.Option("--json", help="Print the list as JSON.")]


def models(as_json: Json = False) -> None:
    """List the built-in models; your own is named package.module:callable."""
    rows = [
        {"name": name, "data set": note.data_set, "description": note.description}
        for name, note in MODELS.items()
    ]
    print_list(rows, as_json)


def datasets(as_json: Json = False) -> None:
    """List the built-in data sets; your own is named package.module:function."""
    rows = [{"name": name, "description": description} for name, description in DATA_SETS.items()]
    print_list(rows, as_json)


def samplers(as_json: Json = False) -> None:
    """List the samplers of a search."""
    rows = [{"name": name, "description": description} for name, description in SAMPLERS.items()]
    print_list(rows, as_json)


def metrics(as_json: Json = False) -> None:
    """List the metrics that a search can optimise or bound."""
    rows = [
        {
            "name": metric.name,
            "better": "higher" if metric.direction == "maximize" else "lower",
            "kind": metric.kind,
            "unit": metric.unit,
            "description": metric.description,
        }
        for metric in listed_metrics().values()
    ]
    print_list(rows, as_json)


def print_list(rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    """Print rows of the same keys as a table, or as a JSON list with underscores in the keys."""
    if as_json:
        print_json([{key.replace(" ", "_"): value for key, value in row.items()} for row in rows])
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
