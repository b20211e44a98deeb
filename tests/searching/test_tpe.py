"""Our TPE proposes what Optuna's own sampler proposes."""

import time

import numpy as np
import optuna
import pytest

from narrower.searching.samplers.optuna_samplers import OptunaSampler
from narrower.searching.samplers.tpe import Tpe
from tests.searching.test_genetic import answer, space

# Choices of the space, objectives, digits of the losses, proposals at a time.
CASES = [
    ((2, 3, 3) * 3, 2, 6, 1),
    ((2, 3, 3) * 3, 1, 6, 1),
    ((5, 1, 7, 2), 1, 1, 3),
    ((5, 1, 7, 2), 2, 1, 1),
    ((40, 9), 3, 2, 4),
    ((3,) * 12, 2, 1, 8),
    ((6,) * 11 + (2,) * 4, 2, 6, 1),
    ((2, 2), 2, 2, 1),
    ((3,) * 100, 2, 3, 5),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("counts", "losses", "digits", "batch"), CASES)
def test_the_same_seed_and_answers_give_optunas_proposals(
    counts: tuple[int, ...], losses: int, digits: int, batch: int
) -> None:
    where = space(*counts)
    for seed in (0, 3):
        brain = optuna.samplers.TPESampler(
            multivariate=True, seed=seed, n_startup_trials=10, constant_liar=True
        )
        own, optunas = Tpe(where, seed, losses), OptunaSampler(brain, where, losses, 1)
        for start in range(0, 300 if where.size < 10**9 else 60, batch):
            proposals = list(optunas.ask(batch))
            assert list(own.ask(batch)) == proposals, start
            drawn = where.options_at(int(np.random.default_rng(start).random() * where.size))
            unasked = [drawn] if start % 7 == 0 else []
            for options in [*proposals, *unasked]:
                told = answer(options, seed, losses, digits, where)
                own.tell(options, told)
                optunas.tell(options, told)


@pytest.mark.filterwarnings("ignore")
def test_densities_that_are_too_small_for_tables_are_optunas() -> None:
    where = space(*((9,) * 300))
    brain = optuna.samplers.TPESampler(multivariate=True, seed=1, n_startup_trials=10, constant_liar=True)
    own, optunas = Tpe(where, 1, 2), OptunaSampler(brain, where, 2, 1)
    for _ in range(14):
        (options,) = own.ask(1)
        assert [options] == list(optunas.ask(1))
        losses = (float(sum(options)), float(-options[0]))
        own.tell(options, losses)
        optunas.tell(options, losses)


def test_a_proposal_takes_about_as_long_after_many() -> None:
    where = space(*((2, 3, 3) * 3))
    sampler = Tpe(where, 0, 2)
    seconds = []
    for _ in range(900):
        started = time.process_time()
        (options,) = sampler.ask(1)
        sampler.tell(options, answer(options, 1, 2, 6, where))
        seconds.append(time.process_time() - started)
    assert np.median(seconds[-50:]) < 4 * np.median(seconds[100:150])
