"""A picture of what each layer loses in each format."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from narrower.report.layer_sensitivity import LayerSensitivity
from narrower.store.files import replacing

DOTS_PER_INCH = 150


def write_sensitivity_plot(found: LayerSensitivity, path: Path, model: str) -> None:
    """Three panels (weight, data, both), a row for each layer and a column for each format.

    Raises:
        OutputError: the file cannot be written.
    """
    layers = list(dict.fromkeys(each.layer for each in found.measured))
    panels = list(dict.fromkeys(each.rounded for each in found.measured))
    grids = {name: np.full((len(layers), len(found.formats)), np.nan) for name in panels}
    for each in found.measured:
        grids[each.rounded][layers.index(each.layer), found.formats.index(each.format)] = each.added_loss
    largest = max(float(np.nanmax(np.abs(grid))) for grid in grids.values()) or 1.0
    size = (2.2 + len(panels) * (0.9 + 0.55 * len(found.formats)), 1.6 + 0.3 * len(layers))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    image = None
    for panel, name in zip(axes, panels, strict=True):
        image = panel.imshow(grids[name], cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
        panel.set_title(f"{name} rounded", fontsize=9)
        panel.set_xticks(range(len(found.formats)), found.formats, rotation=60, ha="right", fontsize=8)
        panel.set_yticks(range(len(layers)), layers, fontsize=8)
    assert image is not None
    figure.colorbar(image, ax=axes, label="loss that is added")
    figure.suptitle(f"{model}: one layer rounded at a time", fontsize=10)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=DOTS_PER_INCH, format=path.suffix.removeprefix(".") or "png")
