"""``narrower groups``: which channels of a model change together."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrower.cli.complete import like_model
from narrower.cli.console import print_json, print_table
from narrower.data.sizes import USUAL_CLASSES, Sizes
from narrower.errors import SettingsError
from narrower.models.catalogue import model_note

if TYPE_CHECKING:
    from narrower.data.arguments import Arguments

Model = Annotated[
    str,
    typer.Argument(
        help="A name of 'narrower models', or package.module:callable.", autocompletion=like_model
    ),
]
Dataset = Annotated[str | None, typer.Option("--dataset", help="Whose samples the model takes.")]
DataPath = Annotated[Path | None, typer.Option("--data-path", help="A local file of the data set.")]
Shape = Annotated[
    str | None,
    typer.Option("--shape", help="Instead of a data set: the shape of one sample, such as 3,32,32."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def groups(
    model: Model,
    dataset: Dataset = None,
    shape: Shape = None,
    data_path: DataPath = None,
    as_json: Json = False,
) -> None:
    """Print the groups of channels of MODEL, and why some cannot change."""
    example, sizes = example_for(model, dataset, shape, data_path)
    from narrower.study.resizing import channel_groups

    found = channel_groups(model, example, sizes)
    if as_json:
        print_json([asdict(group) for group in found])
        return
    rows = [
        [
            ", ".join(group.layers),
            group.width if group.unit == 1 else f"{group.width} x {group.unit}",
            len({name for name, _ in group.dimensions}),
            "; ".join(group.reasons) or "yes",
            "; ".join(group.notes),
        ]
        for group in found
    ]
    print_table(("layers", "channels", "tensors", "can change", "note"), rows)


def example_for(
    model: str, dataset: str | None, shape: str | None, data_path: Path | None
) -> "tuple[Arguments, Sizes]":
    """Three samples for a model, and the sizes that it has for them.

    Raises:
        SettingsError: nothing says what it takes.
    """
    known = model_note(model)
    name = dataset or (known.data_set if known and shape is None else None)
    if name is not None:
        from narrower.cli.loaded_data import loaded_data

        data = loaded_data(name, data_path)
        return data.examples, data.sizes
    sizes = [size.strip() for size in (shape or "").split(",")]
    if not all(size.isdigit() and int(size) > 0 for size in sizes):
        raise SettingsError(
            f"--shape: found {shape!r}; give the shape of one sample, such as 3,32,32, or --dataset"
        )
    import torch

    generator = torch.Generator().manual_seed(0)
    sample = tuple(map(int, sizes))
    return torch.randn(3, *sample, generator=generator), Sizes(sample, USUAL_CLASSES)
