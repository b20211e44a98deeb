"""How much each choice changes the quality on average, from the trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from narrower.report.trial_table import Column, TrialTable
from narrower.searching.recorded_space import Feature

Levels = NDArray[np.int64]  # [trials], the level of one choice


@dataclass(frozen=True, slots=True)
class Effect:
    """What the levels of a feature do to the leading metric, against its largest level, whose effect is 0.

    ``labels``, ``effects`` (differences of it) and ``trials`` have one entry for each level that was
    tried.
    """

    feature: Feature
    labels: tuple[str, ...]
    effects: tuple[float, ...]
    trials: tuple[int, ...]

    @property
    def spread(self) -> float:
        """From the worst level to the best."""
        return max(self.effects) - min(self.effects)


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Effects by spread, the largest first.

    ``explained`` is the share of the variance that they explain together; None where the trials do not tell
    the choices apart, so that the effects are differences between plain means.
    """

    effects: tuple[Effect, ...]
    explained: float | None


def sensitivity(table: TrialTable, metric: str) -> Sensitivity:
    """Fit a metric = constant + one effect for each level of each choice, by least squares.

    Where every combination was tried, the effects are differences between plain means (Montgomery, Design and
    Analysis of Experiments, chapter 5); elsewhere they are adjusted for what else was chosen.
    """
    known = np.isfinite(table.metrics[metric])
    values, options = table.metrics[metric][known], table.options[known]
    features, level_of = [], []
    for feature in table.space.features:
        levels = np.array(feature.level_of)[options[:, feature.slot]]
        if len(np.unique(levels)) > 1:
            features.append(feature)
            level_of.append(levels)
    if not features:
        return Sensitivity((), None)
    fitted, explained = _least_squares(values, level_of)
    effects = [
        _effect(feature, levels, values, fitted[position] if fitted else None)
        for position, (feature, levels) in enumerate(zip(features, level_of, strict=True))
    ]
    return Sensitivity(tuple(sorted(effects, key=lambda effect: -effect.spread)), explained)


def _least_squares(values: Column, level_of: Sequence[Levels]) -> tuple[list[list[float]], float | None]:
    """The effects of the levels but the largest, for each choice, and the share of the variance explained.

    Nothing where they are not determined.
    """
    present = [np.unique(levels) for levels in level_of]
    columns = [
        (levels == level).astype(float)
        for levels, found in zip(level_of, present, strict=True)
        for level in found[:-1]
    ]
    design = np.stack([np.ones(len(values)), *columns], axis=1)
    solution, _, rank, _ = np.linalg.lstsq(design, values)
    variance = float(((values - values.mean()) ** 2).sum())
    if rank < design.shape[1] or variance == 0:
        return [], None
    stops = np.cumsum([1, *(len(found) - 1 for found in present)])
    effects = [solution[start:stop].tolist() for start, stop in pairwise(stops)]
    return effects, 1 - float(((values - design @ solution) ** 2).sum()) / variance


def _effect(feature: Feature, levels: Levels, values: Column, fitted: list[float] | None) -> Effect:
    present = np.unique(levels)
    means = [float(values[levels == level].mean()) for level in present]
    return Effect(
        feature,
        tuple(feature.labels[level] for level in present),
        (*fitted, 0.0) if fitted is not None else tuple(mean - means[-1] for mean in means),
        tuple(int((levels == level).sum()) for level in present),
    )
