"""``narrower data``: what is in a data set, or in a file that is to be one."""

from typing import Annotated, Any

import typer

from narrower.cli.console import answer, note, print_json, print_table
from narrower.cli.train import DataPath, Json, Target
from narrower.data.catalogue import wished

Name = Annotated[
    str,
    typer.Argument(
        metavar="DATASET", help="A file, a name of 'narrower datasets', or package.module:function."
    ),
]
MOST_ROWS = 100
BARS = " ▁▂▃▄▅▆▇█"


def data(name: Name, target: Target = None, data_path: DataPath = None, as_json: Json = False) -> None:
    """Print what DATASET holds: its parts, classes and their shares, features and their ranges.

    What was done with missing values, text and samples that lie in several parts is said on stderr. Ranges
    are of the training part, as a model sees it: real numbers of a file are standardised.
    """
    from narrower.data.datasets import load_data_set
    from narrower.data.overview import overview
    from narrower.data.prepared import prepared_dict

    loaded = load_data_set(wished(name, target), path=data_path)
    found = overview(loaded)
    if as_json:
        print_json({**found.to_dict(), **prepared_dict(loaded.prepared)})
        return
    for line in found.notes:
        note(line)
    answer(f"{found.name}: task {found.task}; samples of shape {'x'.join(map(str, found.shape)) or '1'}")
    print_table(["part", "samples"], list(found.parts.items()))
    if found.classes:
        names = list(found.parts)
        rows: list[list[Any]] = [
            [each.name, *(f"{share:.1%}" for share in each.shares), _bar(each.shares[0])]
            for each in found.classes[:MOST_ROWS]
        ]
        print_table(["class", *names, "share in training"], rows)
    if found.columns:
        print_table(
            ["values", "least", "mean", "most", "spread", "distribution"],
            [
                [each.name, each.least, each.mean, each.most, each.deviation, _histogram(each.counts)]
                for each in found.columns[:MOST_ROWS]
            ],
        )
    left = max(len(found.columns), len(found.classes)) - MOST_ROWS
    if left > 0:
        note(f"{left:,} more rows are shown by --json")


def _bar(share: float) -> str:
    return "█" * round(20 * share)


def _histogram(counts: tuple[int, ...]) -> str:
    most = max(counts)
    return "".join(BARS[-(-(len(BARS) - 1) * count // most)] for count in counts)
