"""What samplers there are, and how one is built from its name."""

from narrower.errors import unknown_name
from narrower.search.samplers.enumeration import BruteForce, Grid, Random
from narrower.search.samplers.sampler import Sampler
from narrower.search.space import Space

SAMPLERS: dict[str, str] = {
    "brute_force": "every plan; a seeded random subset where n_trials is below the size of the space",
    "random": "plans at random, none twice",
    "grid": "the finest evenly spread grid of at most n_trials plans",
    "qmc": "scrambled Sobol sequence (Optuna)",
    "tpe": "multivariate tree-structured Parzen estimator (Optuna)",
    "gp": "Gaussian process with expected hypervolume improvement (Optuna)",
    "nsgaii": "genetic, non-dominated sorting with crowding distance (Optuna)",
    "nsgaiii": "genetic, non-dominated sorting with reference points (Optuna)",
}
_OWN = {"brute_force": BruteForce, "random": Random, "grid": Grid}


def canonical_sampler(name: str) -> str:
    """The listed spelling; hyphens and capitals do not matter.

    Raises:
        UnknownNameError: no such sampler.
    """
    spelled = name.lower().replace("-", "_")
    if spelled not in SAMPLERS:
        raise unknown_name("sampler", name, SAMPLERS)
    return spelled


def build_sampler(name: str, space: Space, *, seed: int, wanted: int, loss_count: int) -> Sampler:
    """Build a sampler of ``SAMPLERS``; ``wanted`` is the number of plans that will be asked for."""
    if own := _OWN.get(name):
        return own(space, seed, wanted)
    from narrower.search.samplers.optuna_samplers import optuna_sampler

    return optuna_sampler(name, space, seed, loss_count)
