"""The plots of a run as PNG files, drawn with matplotlib."""

from collections.abc import Callable, Mapping
from math import log2
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from narrower.report.findings import Findings
from narrower.report.plan_text import effect_scale, is_share, metric_name
from narrower.searching.objective import unit_of
from narrower.store.files import replacing

WIDTH_INCHES, DOTS_PER_INCH = 8.0, 150
BLUE, ORANGE, GREEN, VIOLET, GREY = "#0b62c4", "#c2550c", "#0e7c66", "#7a3fb0", "#9aa1ab"
MOST_EFFECTS = 40
LEAST_DRAWN = 0.5  # bits; what has none is drawn as if it had these


def write_plots(findings: Findings, directory: Path) -> tuple[Path, ...]:
    """Write a file for each plot that applies: fronts, widths, sensitivity, layers and hypervolume.

    Raises:
        OutputError: they cannot be written.
    """
    figures = {f"front-{cost}": _front(findings, cost) for cost in findings.costs}
    for name, draw in PLOTS.items():
        figure = draw(findings)
        if figure is not None:
            figures[name] = figure
    return save_figures(figures, directory)


def save_figures(figures: Mapping[str, Figure], directory: Path) -> tuple[Path, ...]:
    """Write figures below a directory, each in a file of its name.

    Raises:
        OutputError: they cannot be written.
    """
    paths = []
    for name, figure in figures.items():
        path = directory / f"{name.replace(':', '-').replace('/', '-')}.png"
        with replacing(path) as partial:
            figure.savefig(partial, dpi=DOTS_PER_INCH)
        paths.append(path)
    return tuple(paths)


def _front(findings: Findings, cost: str) -> Figure:
    figure, (axes,) = _figure(4.6)
    table, quality, advice = findings.table, findings.quality, findings.advice
    x, y = table.metrics[cost], table.metrics[quality]
    axes.plot(x[findings.others], y[findings.others], ".", color=GREY, alpha=0.35, ms=3, label="other trials")
    uniform = [trial.row for trial in findings.uniform]
    if uniform:
        axes.plot(x[uniform], y[uniform], "s", mfc="none", color=ORANGE, label="same widths in every layer")
    members = sorted(findings.members, key=lambda member: member.metrics[cost])
    if members:
        at = np.array([member.metrics[cost] for member in members])
        values = np.array([member.metrics[quality] for member in members])
        axes.plot(at, values, "o", color=BLUE, label="front")
        if quality == findings.record.metric.name:
            bounds = np.array([member.interval or (np.nan, np.nan) for member in members])
            axes.errorbar(
                at,
                values,
                yerr=np.stack([values - bounds[:, 0], bounds[:, 1] - values]),
                fmt="none",
                ecolor=BLUE,
                capsize=2,
                label="95 % interval",
            )
    for member, label, colour in ((advice.chosen, "take this", GREEN), (advice.knee, "knee", VIOLET)):
        if member is not None:
            spot = member.metrics[cost], member.metrics[quality]
            axes.plot(*spot, "o", ms=14, mfc="none", color=colour, label=f"{label} (trial {member.number:,})")
    if quality in findings.record.float32:
        axes.axhline(findings.record.float32[quality], ls="--", color="#5f6670", lw=1, label="float32")
    axes.set(xlabel=_title(cost), ylabel=_title(quality))
    if is_share(quality):
        axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(fontsize=8, loc="best")
    return figure


def _widths(findings: Findings) -> Figure | None:
    members, features = findings.members, findings.features
    if not members or not features:
        return None
    options = findings.table.space.options([member.plan_index for member in members])
    sizes = np.array(
        [[feature.sizes[feature.level_of[o]] for o in options[:, feature.slot]] for feature in features]
    )
    figure, (axes,) = _figure(1.2 + 0.28 * len(features))
    logarithms = np.vectorize(log2)(np.maximum(sizes, LEAST_DRAWN))
    axes.imshow(logarithms, cmap="Blues", aspect="auto", vmin=logarithms.min() - 1)
    axes.set_yticks(range(len(features)), [_plain(feature.name) for feature in features], fontsize=8)
    axes.set_xticks(
        range(len(members)), [f"{member.number:,}" for member in members], rotation=60, fontsize=8
    )
    axes.set_xlabel("trial (worst first)")
    axes.grid(visible=False)
    bright = (logarithms.min() + logarithms.max()) / 2
    if len(members) <= 20:  # noqa: PLR2004 - more numbers do not fit
        for row, column in np.ndindex(*sizes.shape):
            colour = "white" if logarithms[row, column] > bright else "black"
            size = f"{sizes[row, column]:g}"
            axes.text(column, row, size, ha="center", va="center", color=colour, fontsize=8)
    return figure


def _sensitivity(findings: Findings) -> Figure | None:
    effects = findings.sensitivity.effects[:MOST_EFFECTS][::-1]
    if not effects:
        return None
    metric = findings.record.metric.name
    scale, unit = effect_scale(metric)
    figure, (axes,) = _figure(1.2 + 0.28 * len(effects))
    for row, effect in enumerate(effects):
        values = scale * np.array(effect.effects)
        axes.plot([values.min(), values.max()], [row, row], color="#dfe1e4", lw=2, zorder=1)
        axes.plot(values, [row] * len(values), "o", color=BLUE, ms=5)
        for value, label in zip(values, effect.labels, strict=True):
            axes.annotate(
                _plain(label), (value, row), (0, 5), textcoords="offset points", ha="center", fontsize=7
            )
    axes.set_yticks(range(len(effects)), [_plain(effect.feature.name) for effect in effects], fontsize=8)
    amount = f"{unit} of {metric_name(metric)}" if unit else metric_name(metric)
    axes.set_xlabel(f"{amount} against the largest value, on average")
    return figure


def _layers(findings: Findings) -> Figure | None:
    chosen = findings.advice.chosen
    if chosen is None or chosen.layer_bitops is None or chosen.layer_bytes is None:
        return None
    layers = [name for name, bits in chosen.layer_bytes.items() if bits or chosen.layer_bitops[name]][::-1]
    figure, panels = _figure(1.2 + 0.28 * len(layers), columns=2)
    shown: tuple[tuple[Mapping[str, float], str], ...] = (
        (chosen.layer_bitops, "bitops per sample"),
        (chosen.layer_bytes, "bytes"),
    )
    for axes, (costs, title) in zip(panels, shown, strict=True):
        axes.barh(range(len(layers)), [costs[layer] for layer in layers], color=BLUE)
        axes.set_yticks(range(len(layers)), [_plain(layer) for layer in layers], fontsize=8)
        axes.set_xlabel(f"{title}, trial {chosen.number:,}")
    return figure


def _hypervolume(findings: Findings) -> Figure | None:
    curve = findings.curve
    if curve is None or curve.values[-1] <= 0:
        return None
    figure, panels = _figure(3.4, columns=2)
    for axes, x, title in zip(
        panels, (curve.trials, curve.seconds), ("trials", "seconds since the search began"), strict=True
    ):
        axes.step([0, *x], [0, *curve.shares], where="post", color=BLUE)
        axes.set(xlabel=title, ylim=(0, 1.05))
        axes.yaxis.set_major_formatter("{x:.0%}")
    panels[0].set_ylabel("hypervolume, of the last value")
    return figure


PLOTS: dict[str, Callable[[Findings], Figure | None]] = {
    "widths": _widths,
    "sensitivity": _sensitivity,
    "layers": _layers,
    "hypervolume": _hypervolume,
}


def _figure(height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH_INCHES, max(2.4, height)), layout="constrained")
    panels = [figure.add_subplot(1, columns, column + 1) for column in range(columns)]
    for axes in panels:
        axes.grid(color="#e9eaec", lw=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _title(metric: str) -> str:
    unit = unit_of(metric)
    return _plain(f"{metric_name(metric)}, {unit}" if unit else metric_name(metric))


def _plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")
