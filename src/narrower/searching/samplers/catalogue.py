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
    """The listed spelling; ``brute-force``, ``BruteForce`` and ``brute`` are all ``brute_force``.

    Raises:
        UnknownNameError: no such sampler.
    """
    spelled = spelled_sampler(name)
    if spelled is None:
        raise unknown_name("sampler", name, SAMPLERS)
    return spelled


def spelled_sampler(name: str) -> str | None:
    """The same; None where there is no such sampler."""
    return _SPELLINGS.get(name.lower().replace("-", "_"))


_SPELLINGS = {spelling: name for name in SAMPLERS for spelling in (name, name.replace("_", ""))} | {
    "brute": "brute_force",
    "nsga_ii": "nsgaii",
    "nsga_iii": "nsgaiii",
}
