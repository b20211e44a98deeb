"""What samplers there are, by name."""

from narrower.errors import unknown_name

SAMPLERS: dict[str, str] = {
    "guided": "knows costs exactly and models quality: what most improves the expected hypervolume",
    "sensitivity": "one choice at a time, then the exact front of the sum of what each choice loses",
    "brute_force": "every plan; a seeded random subset where n_trials is below the size of the space",
    "random": "plans at random, none twice",
    "grid": "the finest evenly spread grid of at most n_trials plans",
    "qmc": "scrambled Sobol sequence (Optuna)",
    "tpe": "multivariate tree-structured Parzen estimator (Optuna)",
    "gp": "Gaussian process with expected hypervolume improvement (Optuna)",
    "nsgaii": "genetic, non-dominated sorting with crowding distance (Optuna)",
    "nsgaiii": "genetic, non-dominated sorting with reference points (Optuna)",
}

ENDING = ("brute_force", "sensitivity")  # they need not be told when to end
ENUMERATIONS = ("brute_force", "random", "grid")  # they learn nothing from results


def default_sampler(trials: int | None) -> str:
    """The sampler where none is named: every plan, or what finds the best plans among few."""
    return "brute_force" if trials is None else "guided"


def canonical_sampler(name: str) -> str:
    """The listed spelling; hyphens and capitals do not matter.

    Raises:
        UnknownNameError: no such sampler.
    """
    spelled = name.lower().replace("-", "_")
    if spelled not in SAMPLERS:
        raise unknown_name("sampler", name, SAMPLERS)
    return spelled
