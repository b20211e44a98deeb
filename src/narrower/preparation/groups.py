"""Candidates in groups that are given their weights apart from all others: here, or in another process."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from narrower.plan.plan import Plan
from narrower.preparation.preparation import Prepared

Weights = Mapping[str, Tensor]  # by the names of the model


@dataclass(frozen=True, slots=True)
class Group:
    """Plans that get their weights at once.

    Where they start from the weights of plans before them, ``starts`` are the places of these, and
    ``begun`` the weights; None for the model's own. In folds ``parts`` are the group in each.
    """

    plans: tuple[Plan, ...]
    starts: tuple[int | None, ...] = ()
    begun: tuple[Weights | None, ...] = ()
    parts: tuple["Group", ...] = ()

    @property
    def from_the_start(self) -> "Group":
        """The same plans from the model's own weights."""
        return Group(self.plans, parts=tuple(part.from_the_start for part in self.parts))


@dataclass(frozen=True, slots=True)
class Made:
    """What a group came to, one entry for each plan: the model of each seed or fold, or why there is none.

    ``curves`` are how each did in training, where that is kept.
    """

    models: tuple[tuple[nn.Module, ...] | str, ...]
    curves: tuple[Tensor | None, ...] = ()

    @property
    def weights(self) -> "MadeWeights":
        """What is to be remembered of it."""
        found = [m if isinstance(m, str) else tuple(each.state_dict() for each in m) for m in self.models]
        return MadeWeights(tuple(found), self.curves)


@dataclass(frozen=True, slots=True)
class MadeWeights:
    """The same with weights in the place of models."""

    states: tuple[tuple[Weights, ...] | str, ...]
    curves: tuple[Tensor | None, ...] = ()

    def packed(self) -> bytes:
        """To be sent to another process."""
        content = io.BytesIO()
        states = [s if isinstance(s, str) else [dict(each) for each in s] for s in self.states]
        torch.save({"states": states, "curves": list(self.curves)}, content)
        return content.getvalue()


def unpacked(content: bytes) -> MadeWeights:
    """What ``packed`` gave."""
    found = torch.load(io.BytesIO(content), weights_only=True)
    states = tuple(each if isinstance(each, str) else tuple(each) for each in found["states"])
    return MadeWeights(states, tuple(found["curves"]))


@runtime_checkable
class InGroups(Protocol):
    """A preparation that works in groups, which depend on nothing but what each says of itself.

    ``prepare`` is to make one group after the other, and to keep it.
    """

    keeps: bool
    """Whether anything is remembered of a group."""

    @property
    def at_once(self) -> int:
        """How many plans a group has at most."""

    def waves(self, lists: Sequence[Sequence[Plan]]) -> Iterator[list[Group]]:
        """The groups that ``prepare`` makes of one list after the other, but for what is kept already.

        Those of one wave do not depend on each other; the next one is asked for when they are kept.
        """

    def make(self, group: Group) -> Made:
        """Give a group its weights, as if there were no other."""

    def prepared(self, group: Group, made: Made) -> Iterator[Prepared]:
        """What a group came to, for an evaluator."""

    def keep(self, group: Group, weights: MadeWeights) -> None:
        """Remember what a group came to."""

    def lose(self, group: Group, reason: str) -> None:
        """Remember that a group came to nothing."""


def in_turn(way: InGroups, plans: Sequence[Plan]) -> Iterator[Prepared]:
    """Make the groups of plans one after the other, and keep them: ``prepare`` of a preparation in groups."""
    for wave in way.waves([plans]):
        for group in wave:
            made = way.make(group)
            if way.keeps:
                way.keep(group, made.weights)
            yield from way.prepared(group, made)
