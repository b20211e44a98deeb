"""Which trials have the same widths in every layer: what a search is to beat."""

from dataclasses import dataclass

import numpy as np

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
    sizes = {}
    for aspect in ASPECTS:
        columns = [
            np.array(feature.sizes)[np.array(feature.level_of)[table.options[:, feature.slot]]]
            for feature in features
            if feature.aspect == aspect
        ]
        if columns:
            sizes[aspect] = columns[0]
            is_uniform &= np.all([column == columns[0] for column in columns], axis=0)
    return tuple(
        UniformTrial(int(row), ", ".join(f"{aspect} {column[row]:g}" for aspect, column in sizes.items()))
        for row in np.flatnonzero(is_uniform)
    )
