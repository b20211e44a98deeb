"""How a sampler is built from its name."""

from narrower.searching.samplers.enumeration import BruteForce, Grid, Random
from narrower.searching.samplers.sampler import Sampler
from narrower.searching.space import Space

_OWN = {"brute_force": BruteForce, "random": Random, "grid": Grid}


def build_sampler(name: str, space: Space, *, seed: int, wanted: int, loss_count: int) -> Sampler:
    """Build a sampler of ``SAMPLERS``; ``wanted`` is the number of plans that will be asked for."""
    if own := _OWN.get(name):
        return own(space, seed, wanted)
    from narrower.searching.samplers.optuna_samplers import optuna_sampler

    return optuna_sampler(name, space, seed, loss_count)
