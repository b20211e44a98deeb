"""Optuna's samplers, run in memory."""

import warnings
from collections import deque
from collections.abc import Callable, Sequence

import optuna
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler, QMCSampler
from optuna.trial import Trial, TrialState, create_trial

from narrower.errors import SettingsError
from narrower.searching.samplers.gp import TogetherGp
from narrower.searching.samplers.sampler import Losses
from narrower.searching.space import Options, Space


class OptunaSampler:
    """One of Optuna's samplers over the positions of a space's choices."""

    never_repeats = False
    covers_space = False
    note: str | None = None

    def __init__(self, sampler: BaseSampler, space: Space, loss_count: int, default_batch: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.default_batch = default_batch
        self._space = space
        self._study = optuna.create_study(sampler=sampler, directions=["minimize"] * loss_count)
        self._distributions = {
            str(number): IntDistribution(0, len(choice.values) - 1)
            for number, choice in enumerate(space.choices)
            if len(choice.values) > 1
        }
        self._asked: deque[tuple[Options, Trial]] = deque()
        self._worst: list[float] | None = None

    def ask(self, count: int) -> Sequence[Options]:
        proposals = []
        for _ in range(count):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trial = self._study.ask(dict(self._distributions))
            positions = [trial.params.get(str(number), 0) for number in range(len(self._space.choices))]
            options = self._space.options_of(positions)
            self._asked.append((options, trial))
            proposals.append(options)
        return proposals

    def tell(self, options: Options, losses: Losses | None) -> None:
        was_asked = bool(self._asked) and self._asked[0][0] == options
        trial = self._asked.popleft()[1] if was_asked else None
        if losses is not None:
            self._worst = list(map(max, losses, self._worst or losses))
        # What is not admitted counts as worst in everything, so that the sampler turns away from it.
        values = list(losses) if losses is not None else self._worst
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if trial is None:
                self._learn(options, values)
            elif values is None:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, values)

    def _learn(self, options: Options, values: list[float] | None) -> None:
        if values is None:
            return
        positions = self._space.positions_of(options)
        self._study.add_trial(
            create_trial(
                params={name: positions[int(name)] for name in self._distributions},
                distributions=dict(self._distributions),
                values=values,
            )
        )


def sampler_of_optuna(brain: object, space: Space, loss_count: int) -> OptunaSampler:
    """A sampler that the user made, asked for one plan at a time.

    Raises:
        SettingsError: it is no sampler of Optuna.
    """
    if not isinstance(brain, BaseSampler):
        raise SettingsError(
            f"sampler: found {type(brain).__name__}; allowed: a name of 'narrower samplers', or a sampler of "
            "Optuna (of a study: study.sampler)"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OptunaSampler(brain, space, loss_count, 1)


def _qmc(seed: int) -> BaseSampler:
    return QMCSampler(qmc_type="sobol", scramble=True, seed=seed)


# Name: how the sampler is built, and how many proposals it is asked for at a time.
BRAINS: dict[str, tuple[Callable[[int], BaseSampler], int]] = {
    "qmc": (_qmc, 64),
    "gp": (TogetherGp, 1),
}


def optuna_sampler(name: str, space: Space, seed: int, loss_count: int) -> OptunaSampler:
    """Build one of Optuna's samplers by its name in ``BRAINS``."""
    build, batch = BRAINS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OptunaSampler(build(seed), space, loss_count, batch)
