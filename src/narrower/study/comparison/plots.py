"""The curves of a comparison as PNG files, drawn with matplotlib."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from narrower.report.plots import BLUE, GREEN, GREY, ORANGE, VIOLET, WIDTH_INCHES, save_figures
from narrower.study.comparison.measures import Measure, curves, measures
from narrower.study.comparison.record import Comparison

COLOURS = (BLUE, ORANGE, VIOLET, GREEN, GREY, "black")
STYLES = ("-", "--", ":", "-.")
HEIGHT_INCHES = 4.6


def write_comparison_plots(comparison: Comparison, directory: Path) -> tuple[Path, ...]:
    """Write a file for each measure over trials, and for the hypervolume over time.

    Raises:
        OutputError: they cannot be written.
    """
    of_runs = measures(comparison.setup)
    figures = {measure.name: _figure(comparison, measure, over_time=False) for measure in of_runs}
    figures["hypervolume-over-time"] = _figure(comparison, of_runs[0], over_time=True)
    return save_figures(figures, directory)


def _figure(comparison: Comparison, measure: Measure, *, over_time: bool) -> Figure:
    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
    axes = figure.subplots()
    for number, curve in enumerate(curves(comparison, measure, over_time=over_time)):
        colour, style = COLOURS[number % len(COLOURS)], STYLES[number // len(COLOURS) % len(STYLES)]
        axes.plot(
            curve.x, curve.median, style, color=colour, drawstyle="steps-post", label=curve.sampler, lw=1.5
        )
        axes.fill_between(curve.x, curve.low, curve.high, step="post", color=colour, alpha=0.18, lw=0)
    axes.set_xlabel("seconds" if over_time else "trials")
    axes.set_ylabel(measure.title)
    if over_time:
        axes.set_xscale("log")
    if measure.is_share:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if measure.is_logarithmic:
        axes.set_yscale("log", nonpositive="mask")
    axes.legend(frameon=False)
    seeds = len(comparison.setup.seeds)
    axes.set_title(f"median of {seeds} seeds, band: 95 % bootstrap interval", fontsize="medium")
    return figure
