"""Which trials have the same widths in every layer: what a search is to beat."""

from dataclasses import dataclass

import numpy as np

from narrower.report.plan_text import short_format
from narrower.report.trial_table import TrialTable
from narrower.searching.recorded_space import ASPECTS


@dataclass(frozen=True, slots=True)
class UniformTrial:
    """A trial whose layers all have the same widths; ``label`` names them, such as ``data 8, weight 4``."""

    row: int
    label: str


def uniform_trials(table: TrialTable) -> tuple[UniformTrial, ...]:
    """Trials in which each aspect (data, weight, bias, width) has one size in all layers that the space sets.

    Empty where the space sets only one layer.
    """
    features = table.space.features
    if len({layer for feature in features for layer in feature.layers}) < 2:  # noqa: PLR2004 - one is no many
        return ()
    is_uniform = np.ones(len(table), dtype=np.bool_)
    labels = {}
    for aspect in ASPECTS:
        columns = [
            np.array([_label(level) for level in feature.levels])[
                np.array(feature.level_of)[table.options[:, feature.slot]]
            ]
            for feature in features
            if feature.aspect == aspect
        ]
        if columns:
            labels[aspect] = columns[0]
            is_uniform &= np.all([column == columns[0] for column in columns], axis=0)
    return tuple(
        UniformTrial(int(row), ", ".join(f"{aspect} {column[row]}" for aspect, column in labels.items()))
        for row in np.flatnonzero(is_uniform)
    )


def _label(level: str | float) -> str:
    """What makes two levels the same: of fixed point the width, whatever its fraction and sign."""
    return short_format(level).removeprefix("u") if isinstance(level, str) else f"{level:g}"
