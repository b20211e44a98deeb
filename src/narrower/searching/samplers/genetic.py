"""Optuna's NSGA-II and NSGA-III without the history that Optuna reads anew for every proposal.

The proposals are those of Optuna's samplers for the same seed and answers: parents are selected by Optuna's
own code, once for each generation, and children are made with its random numbers in its order (Deb et al.
2002; Deb and Jain 2014; uniform crossover: Syswerda 1989). What takes Optuna longer with every trial, the
search for a generation's members among all of them, is kept here from one proposal to the next.
"""

import warnings
from collections import deque
from collections.abc import Sequence
from operator import le
from typing import TYPE_CHECKING

import numpy as np
import optuna
from optuna.samplers import NSGAIIISampler, NSGAIISampler
from optuna.trial import FrozenTrial, create_trial

from narrower.searching.samplers.sampler import Losses
from narrower.searching.space import Options, Space

if TYPE_CHECKING:
    from optuna.study import Study

POPULATION = 50
CROSSOVER_SHARE, SWAPPED_SHARE = 0.9, 0.5  # Optuna's defaults

Positions = tuple[int, ...]


class Generations:
    """The members and parents of the last generations, in the place of a search through all trials."""

    def __init__(self) -> None:
        self.members: dict[int, list[FrozenTrial]] = {0: []}
        self.parents: dict[int, list[FrozenTrial]] = {0: []}

    def get_population(self, _study: "Study", generation: int) -> list[FrozenTrial]:
        """The trials of a generation that have values, in their order."""
        return list(self.members[generation])

    def get_parent_population(self, _study: "Study", generation: int) -> list[FrozenTrial]:
        """Those that a generation descends from."""
        return list(self.parents[generation])


class _NSGAII(Generations, NSGAIISampler):  # type: ignore[misc] # Optuna is not checked
    def __init__(self, seed: int) -> None:
        Generations.__init__(self)
        NSGAIISampler.__init__(self, population_size=POPULATION, seed=seed)


class _NSGAIII(Generations, NSGAIIISampler):  # type: ignore[misc]
    def __init__(self, seed: int) -> None:
        Generations.__init__(self)
        NSGAIIISampler.__init__(self, population_size=POPULATION, seed=seed)


class Genetic:
    """One of the two over the positions of a space's choices."""

    never_repeats = False
    covers_space = False
    default_batch = POPULATION
    note: str | None = None

    def __init__(self, brain: "_NSGAII | _NSGAIII", space: Space, loss_count: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(directions=["minimize"] * loss_count)
        self._chance: np.random.RandomState = brain._rng.rng  # pairs parents, crosses and mutates
        self._fresh: np.random.RandomState = brain._random_sampler._rng.rng  # draws new values
        self._generations: Generations = brain
        self._select = brain.select_parent
        self._space = space
        counts = [len(choice.values) for choice in space.choices]
        self._varied = [number for number, count in enumerate(counts) if count > 1]
        self._counts = [counts[number] for number in self._varied]
        # Optuna goes through parameters by their names, which are numbers as text.
        self._by_name = sorted(range(len(self._varied)), key=lambda place: str(self._varied[place]))
        self._asked: deque[tuple[Options, Positions, int]] = deque()
        self._generation, self._number, self._completed = 0, 0, 0
        self._worst: list[float] | None = None
        self._positions: dict[int, Positions] = {}  # by the number of the trial
        self._by_age: dict[int, tuple[FrozenTrial, ...]] = {}  # the parents of the newest generation

    def ask(self, count: int) -> Sequence[Options]:
        proposals = []
        for _ in range(count):
            generation = self._next_generation()
            positions = self._child(generation) if generation and self._completed else self._drawn({})
            full = [0] * len(self._space.choices)
            for number, position in zip(self._varied, positions, strict=True):
                full[number] = position
            options = self._space.options_of(full)
            self._asked.append((options, positions, generation))
            proposals.append(options)
        return proposals

    def tell(self, options: Options, losses: Losses | None) -> None:
        was_asked = bool(self._asked) and self._asked[0][0] == options
        asked = self._asked.popleft() if was_asked else None
        if losses is not None:
            self._worst = list(map(max, losses, self._worst or losses))
        # What is not admitted counts as worst in everything, so that the sampler turns away from it.
        values = list(losses) if losses is not None else self._worst
        number, self._number = self._number, self._number + 1
        if values is None:
            return
        self._completed += 1
        if asked is None:
            return  # of no generation
        _, positions, generation = asked
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = create_trial(values=values)
        trial.number = number
        self._positions[number] = positions
        self._generations.members.setdefault(generation, []).append(trial)
        self._generation = max(self._generation, generation)

    def _next_generation(self) -> int:
        """The generation of a new trial: the newest that has values, until it has enough."""
        full = len(self._generations.members[self._generation]) >= POPULATION
        return self._generation + full

    def _parents(self, generation: int) -> Sequence[FrozenTrial]:
        """The first child of a generation finds them in the order of their selection, the others by age."""
        held = self._by_age.get(generation)
        if held is not None:
            return held
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            selected: list[FrozenTrial] = self._select(self._study, generation)
        by_age = sorted(selected, key=lambda trial: trial.number)
        self._generations.parents[generation] = by_age
        self._by_age = {generation: tuple(by_age)}
        for kept in (self._generations.members, self._generations.parents):
            for old in [one for one in kept if one < generation - 1]:
                del kept[old]
        alive = {trial.number for group in self._generations.members.values() for trial in group}
        alive |= {trial.number for trial in by_age}
        self._positions = {number: self._positions[number] for number in alive}
        return selected

    def _child(self, generation: int) -> Positions:
        parents, chance = self._parents(generation), self._chance
        names = self._by_name
        if chance.rand() < CROSSOVER_SHARE:
            first = self._parent(parents)
            second = self._parent([trial for trial in parents if trial is not first])
            swapped = chance.rand(len(names)) >= SWAPPED_SHARE
            pair = self._positions[first.number], self._positions[second.number]
            genes = [pair[int(is_second)][place] for place, is_second in zip(names, swapped, strict=True)]
        else:
            only = self._positions[parents[chance.choice(len(parents))].number]
            genes = [only[place] for place in names]
        stays = chance.rand(len(names)) >= 1.0 / max(1.0, len(names))
        return self._drawn(
            {place: gene for place, gene, kept in zip(names, genes, stays, strict=True) if kept}
        )

    def _parent(self, candidates: Sequence[FrozenTrial]) -> FrozenTrial:
        """Binary tournament."""
        first = candidates[self._chance.choice(len(candidates))]
        second = candidates[self._chance.choice(len(candidates))]
        better = first.values != second.values and all(map(le, first.values, second.values))
        return first if better else second

    def _drawn(self, kept: dict[int, int]) -> Positions:
        """What is not kept is drawn anew."""
        positions = []
        for place, count in enumerate(self._counts):
            if place in kept:
                positions.append(kept[place])
                continue
            value = self._fresh.uniform(-0.5, count - 0.5)
            positions.append(min(max(int(np.floor(value + 0.5)), 0), count - 1))
        return tuple(positions)


def nsgaii(space: Space, seed: int, loss_count: int) -> Genetic:
    """NSGA-II."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Genetic(_NSGAII(seed), space, loss_count)


def nsgaiii(space: Space, seed: int, loss_count: int) -> Genetic:
    """NSGA-III."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Genetic(_NSGAIII(seed), space, loss_count)
