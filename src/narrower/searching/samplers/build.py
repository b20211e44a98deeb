"""How a sampler is built from its name."""

from collections.abc import Sequence

from narrower.searching.known import Known
from narrower.searching.samplers.enumeration import BruteForce, Grid, Random
from narrower.searching.samplers.sampler import Sampler
from narrower.searching.samplers.sensitivity import Sensitivity
from narrower.searching.space import Options, Space

_BLIND = {"brute_force": BruteForce, "random": Random, "grid": Grid}


def build_sampler(
    name: str, space: Space, *, seed: int, wanted: int, known: Known, first: Sequence[Options] = ()
) -> Sampler:
    """Build a sampler of ``SAMPLERS``; ``wanted`` is the number of plans that will be asked for.

    ``first`` are plans that the guided sampler begins with.
    """
    if blind := _BLIND.get(name):
        return blind(space, seed, wanted)
    if name == "sensitivity":
        return Sensitivity(space, seed, known)
    if name == "guided":
        from narrower.searching.samplers.guided import Guided  # SciPy's optimisers take long to import

        return Guided(space, seed, known, first)
    if name in ("nsgaii", "nsgaiii"):
        from narrower.searching.samplers import genetic  # as below, it imports Optuna

        build = genetic.nsgaii if name == "nsgaii" else genetic.nsgaiii
        return build(space, seed, len(known.is_measured))
    if name == "tpe":
        from narrower.searching.samplers.tpe import Tpe

        return Tpe(space, seed, len(known.is_measured))
    from narrower.searching.samplers.optuna_samplers import optuna_sampler

    return optuna_sampler(name, space, seed, len(known.is_measured))
