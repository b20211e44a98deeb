"""Which choices tell good plans from all plans: PED-ANOVA (Watanabe et al., 2023), as Optuna computes it."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import create_trial

MOST_TRIALS = 2_000  # more take Optuna long and change little
LEAST_TRIALS = 20
BEST_SHARE = 0.1


def ped_anova(
    levels: Mapping[str, Sequence[int]], values: Sequence[float], *, is_larger_better: bool
) -> dict[str, float]:
    """The share of each choice in telling the best tenth of the trials from all; the largest first.

    ``levels`` [N] are the positions that each choice had. Empty where there are too few trials, or no
    choice tells anything. Of many trials some are drawn.
    """
    names = [name for name, column in levels.items() if len(set(column)) > 1]
    if len(values) < LEAST_TRIALS or len(set(values)) < 2 or not names:  # noqa: PLR2004 - nothing to tell apart
        return {}
    rows = np.arange(len(values))
    if len(rows) > MOST_TRIALS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_TRIALS, replace=False))
    distributions = {name: IntDistribution(0, max(levels[name])) for name in names}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(direction="maximize" if is_larger_better else "minimize")
            study.add_trials(
                [
                    create_trial(
                        params={name: int(levels[name][row]) for name in names},
                        distributions=dict(distributions),
                        value=float(values[row]),
                    )
                    for row in rows.tolist()
                ]
            )
            found = PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE).evaluate(study)
    finally:
        optuna.logging.set_verbosity(verbosity)
    total = sum(found.values())
    if not total > 0:
        return {}
    shares = {name: float(value) / total for name, value in found.items()}
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))
