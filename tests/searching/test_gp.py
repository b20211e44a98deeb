"""Our form of Optuna's Gaussian process sampler proposes what Optuna's does."""

import itertools

import numpy as np
import optuna
import pytest

from narrower.searching.samplers.gp import TogetherGp, improved
from narrower.searching.samplers.optuna_samplers import OptunaSampler
from tests.searching.test_genetic import space


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("counts", "losses"), [((2, 3, 3) * 2, 2), ((5, 1, 7, 2), 1), ((9, 4), 3)])
def test_the_same_seed_and_answers_give_optunas_proposals(counts: tuple[int, ...], losses: int) -> None:
    where = space(*counts)
    brain = optuna.samplers.GPSampler(seed=1, deterministic_objective=True)
    own, optunas = OptunaSampler(TogetherGp(1), where, losses, 1), OptunaSampler(brain, where, losses, 1)
    for _ in range(14):
        (options,) = optunas.ask(1)
        assert list(own.ask(1)) == [options]
        distance = np.array(options) - np.array(counts) / 2.3
        answers = (float(distance @ distance), float(sum(options)), float(options[0] * options[-1]))
        own.tell(options, answers[:losses])
        optunas.tell(options, answers[:losses])


def test_a_search_ends_where_no_single_choice_gains() -> None:
    values = [np.arange(4.0), np.arange(3.0), np.arange(5.0), np.arange(2.0)]
    table = np.random.default_rng(3).random((4, 3, 5, 2))

    def gain(points: np.ndarray) -> np.ndarray:
        return table[tuple(points.astype(int).T)]

    starts = np.array(list(itertools.product(*values)))[::7]
    found = tuple(improved(gain, starts, values).astype(int))
    assert table[found] >= gain(starts).max()
    for choice, own in enumerate(values):
        others = [(*found[:choice], int(value), *found[choice + 1 :]) for value in own]
        assert max(table[other] for other in others) == table[found]
