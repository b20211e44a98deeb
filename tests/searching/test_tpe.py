"""Our TPE proposes what Optuna's own sampler proposes, or the best of its candidates that is new."""

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


class Repeating(Tpe):
    """Without regard to what was proposed before."""

    def _is_new(self, named: tuple[int, ...]) -> bool:
        return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("counts", "losses", "digits", "batch"), CASES)
def test_the_same_seed_and_answers_give_optunas_proposals(
    counts: tuple[int, ...], losses: int, digits: int, batch: int
) -> None:
    where, seed = space(*counts), len(counts)
    brain = optuna.samplers.TPESampler(multivariate=True, seed=seed, n_startup_trials=10, constant_liar=True)
    own, optunas = Repeating(where, seed, losses), OptunaSampler(brain, where, losses, 1)
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
    own, optunas = Repeating(where, 1, 2), OptunaSampler(brain, where, 2, 1)
    for _ in range(14):
        (options,) = own.ask(1)
        assert [options] == list(optunas.ask(1))
        losses = (float(sum(options)), float(-options[0]))
        own.tell(options, losses)
        optunas.tell(options, losses)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("counts", "losses", "digits"), [((7, 7, 2) * 3, 2, 6), ((3, 12, 30), 1, 1)])
def test_after_thousands_of_trials_the_proposals_are_optunas(
    counts: tuple[int, ...], losses: int, digits: int
) -> None:
    where = space(*counts)
    brain = optuna.samplers.TPESampler(multivariate=True, seed=4, n_startup_trials=10, constant_liar=True)
    own, optunas = Repeating(where, 4, losses), OptunaSampler(brain, where, losses, 1)
    for index in np.random.default_rng(4).integers(where.size, size=4000).tolist():
        options = where.options_at(index)
        told = answer(options, 4, losses, digits, where)
        own.tell(options, told)
        optunas.tell(options, told)
    for _ in range(5):
        proposals = list(optunas.ask(1))
        assert list(own.ask(1)) == proposals
        told = answer(proposals[0], 4, losses, digits, where)
        own.tell(proposals[0], told)
        optunas.tell(proposals[0], told)


@pytest.mark.filterwarnings("ignore")
def test_what_was_proposed_before_gives_way_to_the_best_new_candidate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where, proposed, replaced = space(5, 1, 7, 4, 6, 3), set(), 0

    def best_new(samples: dict[str, np.ndarray], gains: np.ndarray) -> dict[str, int]:
        nonlocal replaced
        columns = [samples.get(str(number), np.zeros(len(gains))) for number in range(6)]
        plans = np.stack(columns, axis=1).astype(int)
        is_new = np.array([tuple(plan) not in proposed for plan in plans.tolist()])
        assert is_new.any()
        replaced += not is_new[np.argmax(gains)]
        best = np.argmax(np.where(is_new, gains, -np.inf))
        return {name: int(column[best]) for name, column in samples.items()}

    monkeypatch.setattr(optuna.samplers.TPESampler, "_compare", staticmethod(best_new))
    brain = optuna.samplers.TPESampler(multivariate=True, seed=2, n_startup_trials=10, constant_liar=True)
    own, optunas = Tpe(where, 2, 2), OptunaSampler(brain, where, 2, 1)
    for _ in range(150):
        (options,) = own.ask(1)
        assert [options] == list(optunas.ask(1))
        proposed.add(options)
        losses = (float(sum(options)), float((np.array(options) - 3.5) @ (np.array(options) - 3.5)))
        own.tell(options, losses)
        optunas.tell(options, losses)
    assert replaced > 30


def test_no_plan_is_proposed_twice_until_almost_all_were() -> None:
    where = space(4, 5, 3, 5)
    sampler = Tpe(where, 0, 2)
    proposed = set()
    for _ in range(280):
        (options,) = sampler.ask(1)
        proposed.add(options)
        sampler.tell(options, (float(sum(options)), float(-options[0])))
    assert len(proposed) > 275  # of 300; the first ten are drawn at random


def test_a_proposal_takes_about_as_long_after_many() -> None:
    where = space(*((2, 3, 3) * 3))
    sampler = Tpe(where, 0, 2)
    seconds = []
    for _ in range(2000):
        started = time.process_time()
        (options,) = sampler.ask(1)
        sampler.tell(options, answer(options, 1, 2, 6, where))
        seconds.append(time.process_time() - started)
    assert np.median(seconds[-50:]) < 3 * np.median(seconds[100:150])
