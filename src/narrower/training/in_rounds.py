"""Train plans of one model up to a step, from where each of them stopped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from narrower.data.parts import Part
from narrower.errors import NarrowerError
from narrower.graph.own_copy import own_copy
from narrower.models.ending import ending_of_outputs
from narrower.plan.plan import Plan
from narrower.training.batches import Batches
from narrower.training.choosing import taught_and_choosing
from narrower.training.continued import CandidateState, candidate_states, go_on_from
from narrower.training.core import Core
from narrower.training.losses import Losses
from narrower.training.recipe import Recipe
from narrower.training.rounding import Formats, formats_of
from narrower.training.stack import Stack, can_stack

State = CandidateState | str  # or why a plan cannot be trained
EpochSeen = Callable[[Core], None]


@dataclass(frozen=True)
class InRounds:
    """A model, the samples that teach, and how; those that are ``watched`` give curves and change nothing."""

    model: nn.Module
    part: Part
    recipe: Recipe
    watched: Part | None = None

    @property
    def steps(self) -> int:
        """All steps that a plan can be trained for."""
        taught, _ = taught_and_choosing(self.part, self.recipe)
        steps = len(Batches(taught, self.recipe.batch_size, 0)) * self.recipe.max_epochs
        return min(steps, self.recipe.max_steps) if self.recipe.max_steps else steps

    def why_not(self, plan: Plan) -> str | None:
        """Why a plan cannot be trained in a stack; None: it can."""
        try:
            formats = formats_of(self.model, plan)
        except NarrowerError as error:
            return str(error)
        if formats is None or not can_stack([self.model], [formats]):
            return "its weights are computed or shared, or its formats are not fixed point that saturates"
        return None

    def train(
        self,
        plans: Sequence[Plan],
        states: Sequence[CandidateState | None],
        stop: int,
        *,
        unfinished: Mapping[str, Any] | None,
        seen: EpochSeen,
    ) -> list[State]:
        """The states of plans after ``stop`` steps; all have begun, or none has.

        ``unfinished`` is the state of this very training where it was interrupted.
        """
        core = self._core(plans, self.watched)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            begun = [state for state in states if state is not None]
            if unfinished is not None:
                core.go_on_from(dict(unfinished))
            elif begun:
                go_on_from(core, begun)
            core.stop = min(stop, core.steps)
            while not core.ended:
                core.epoch()
                seen(core)
            core.take_best()
            found: list[State] = list(candidate_states(core))
        reason = f"the loss is no number; try a learning rate below {self.recipe.learning_rate:g}"
        return [state if ok else reason for state, ok in zip(found, core.finite.tolist(), strict=True)]

    def weights(self, plans: Sequence[Plan], states: Sequence[CandidateState]) -> list[nn.Module]:
        """The models that plans would be delivered with in these states."""
        core = self._core(plans)
        with torch.random.fork_rng(devices=[]):
            go_on_from(core, states)
        core.finish()
        stack = core.model
        assert isinstance(stack, Stack)
        return [model.eval() for model in stack.models]

    def _core(self, plans: Sequence[Plan], watched: Part | None = None) -> Core:
        formats = [formats_of(self.model, plan) for plan in plans]
        known = [each for each in formats if isinstance(each, Formats)]
        assert len(known) == len(plans), "why_not"
        taught, choosing = taught_and_choosing(self.part, self.recipe)
        stack = Stack([own_copy(self.model) for _ in plans], known, self.part.first(2).arguments)
        return Core(
            stack,
            taught,
            self.recipe,
            self._losses,
            choosing=choosing,
            teacher=self._teacher,
            watched=watched,
        )

    @property
    def _teacher(self) -> nn.Module | None:
        return self.model if self.recipe.distillation else None

    @cached_property
    def _losses(self) -> Losses:
        return Losses(self.recipe, self.part.task.loss(ending_of_outputs(self.model, self.part.arguments)))
