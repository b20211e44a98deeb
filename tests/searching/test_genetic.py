"""NSGA-II and NSGA-III propose what Optuna's own samplers propose."""

import time
from collections.abc import Callable

import numpy as np
import optuna
import pytest

from narrower.plan.plan import LayerPlan
from narrower.searching.samplers import genetic
from narrower.searching.samplers.optuna_samplers import OptunaSampler
from narrower.searching.samplers.sampler import Losses, Sampler
from narrower.searching.space import Choice, ListedSlot, Options, Space

OWN: dict[str, Callable[[Space, int, int], Sampler]] = {"nsgaii": genetic.nsgaii, "nsgaiii": genetic.nsgaiii}
OPTUNAS = {"nsgaii": optuna.samplers.NSGAIISampler, "nsgaiii": optuna.samplers.NSGAIIISampler}


def space(*counts: int) -> Space:
    """One slot for each choice of so many values."""
    slots = []
    for number, count in enumerate(counts):
        layer = f"layer{number}"
        fragments = tuple(((layer, LayerPlan(width=1.0 + value)),) for value in range(count))
        positions = {(value,): value for value in range(count)}
        slots.append(ListedSlot(layer, (Choice(layer, tuple(range(count))),), fragments, positions))
    return Space(tuple(slots))


def answer(options: Options, seed: int, count: int, digits: int, where: Space) -> Losses | None:
    """Made-up losses; rounded to few digits, many trials are equal. Some plans fail."""
    index = where.index_of(options)
    drawn = np.random.default_rng([index, seed]).random(count)
    return None if index % 11 == seed else tuple(np.round(drawn, digits).tolist())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(OWN))
@pytest.mark.parametrize(
    ("counts", "losses", "digits"),
    [((2, 3, 3) * 3, 2, 6), ((2, 3, 3) * 3, 3, 1), ((5, 1, 7, 2), 1, 2), ((3,) * 12, 2, 1), ((40, 9), 4, 6)],
)
def test_the_same_seed_and_answers_give_optunas_proposals(
    name: str, counts: tuple[int, ...], losses: int, digits: int
) -> None:
    where = space(*counts)
    for seed in (0, 3):
        own = OWN[name](where, seed, losses)
        optunas = OptunaSampler(OPTUNAS[name](population_size=50, seed=seed), where, losses, 50)
        for batch in (50, 50, 7, 43, 50, 100, 1, 49):
            proposals = list(optunas.ask(batch))
            assert list(own.ask(batch)) == proposals
            drawn = where.options_at(int(np.random.default_rng(batch).integers(where.size)))
            for options in [*proposals, drawn]:  # the last was not asked for
                told = answer(options, seed, losses, digits, where)
                own.tell(options, told)
                optunas.tell(options, told)


@pytest.mark.parametrize("name", sorted(OWN))
def test_a_proposal_takes_no_longer_after_many(name: str) -> None:
    where = space(*((2, 3, 3) * 3))
    sampler = OWN[name](where, 0, 2)
    seconds = []
    for _ in range(60):
        started = time.process_time()
        proposals = sampler.ask(50)
        for options in proposals:
            sampler.tell(options, answer(options, 1, 2, 6, where))
        seconds.append(time.process_time() - started)
    assert np.median(seconds[40:]) < 4 * np.median(seconds[2:12])  # Optuna's own: more than tenfold
