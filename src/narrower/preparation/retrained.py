"""Each plan is trained in its number formats before it is scored: from the model's weights, or another's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from torch import Tensor, nn

from narrower.graph.lower import lower
from narrower.graph.network import numel
from narrower.graph.own_copy import own_copy
from narrower.graph.program import with_parameters
from narrower.own_code.failures import described
from narrower.plan.plan import Plan
from narrower.preparation.curves import Curves
from narrower.preparation.groups import Group, Made, MadeWeights, in_turn
from narrower.preparation.nearest import TrainedBefore
from narrower.preparation.preparation import Candidate, Prepared, Subject
from narrower.preparation.settings import STARTED_FROM, RetrainedSettings
from narrower.training.many import CurveSeen, is_together, train_all, train_in_formats
from narrower.training.recipe import Recipe
from narrower.training.stack import has_steps

MOST_TOGETHER = 32  # candidates that are trained at once
GROUP = 16  # of these start from plans before all of them, where plans start from the nearest one
MOST_KEPT = 2**30  # bytes of trained weights that are kept where no plan starts from them
MOST_VALUES = 2**26  # numbers that the layers of these may hold for one batch


class Retrained:
    """Quantization-aware training of every plan with the same seed: many at once, with the same results.

    The weights of what was trained are kept, for plans that start from the nearest one, and so that members
    of a front are not trained once more.
    """

    keeps = True

    def __init__(self, subject: Subject, settings: RetrainedSettings) -> None:
        self._subject, self._recipe = subject, settings.training
        self._starts_from_nearest = settings.start == "nearest"
        self._before = TrainedBefore(min(GROUP, self.at_once))
        self._kept_bytes = 0
        self.curves: Curves | None = None  # where the search has a part that scores, and a directory

    @property
    def words(self) -> str:
        """How plans are trained."""
        at_once = "one at a time" if self.at_once == 1 else f"up to {self.at_once} at once"
        start = ", from the weights of the nearest plan before it" if self._starts_from_nearest else ""
        return f"each candidate trained in its number formats{start}, {at_once}"

    @property
    def together(self) -> int | None:
        """Many that are trained at once take less time."""
        return self.at_once if self.at_once > 1 else None

    def keep_in(self, directory: Path, plans: Sequence[Plan], failed: Sequence[Plan]) -> None:
        """Keep weights on disk; those of ``plans``, in the order of their trials, may lie there already."""
        self._before.go_on(directory, plans, failed)

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself; one that goes wrong has a failure."""
        return in_turn(self, plans)

    def waves(self, lists: Sequence[Sequence[Plan]]) -> Iterator[list[Group]]:
        """One group after the other where plans start from the nearest one; otherwise all at once."""
        if not self._starts_from_nearest:
            groups, begun = [], set[Plan]()
            for plans in lists:
                own = [plan for plan in dict.fromkeys(plans) if plan not in begun]
                begun.update(own)
                cuts = range(0, len(own), self.at_once)
                groups += [Group(tuple(own[start : start + self.at_once])) for start in cuts]
            yield groups
            return
        every = list(dict.fromkeys(plan for plans in lists for plan in plans))
        while every:
            first = len(self._before)
            count = self._before.in_group(first)
            some, every = every[:count], every[count:]
            starts = [self._start(plan, first + place) for place, plan in enumerate(some)]
            weights = [None if start is None else self._before.weights(start) for start in starts]
            yield [Group(tuple(some), tuple(starts), tuple(weights))]

    def make(self, group: Group) -> Made:
        """Train a group."""
        curves: list[Tensor | None] = [None] * len(group.plans)

        def told(place: int, curve: Tensor) -> None:
            curves[place] = curve

        begun = group.begun or (None,) * len(group.plans)
        models = [self.with_weights(weights) for weights in begun]
        trained = self._trained(models, group.plans, self._recipe, None if self.curves is None else told)
        return Made(tuple(each if isinstance(each, str) else (each,) for each in trained), tuple(curves))

    def prepared(self, group: Group, made: Made) -> Iterator[Prepared]:
        """Each plan by itself."""
        starts = group.starts or (None,) * len(group.plans)
        for plan, models, start in zip(group.plans, made.models, starts, strict=True):
            if isinstance(models, str):
                yield Prepared((plan,), (), models)
            else:
                yield self._prepared(plan, models[0], start)

    def keep(self, group: Group, weights: MadeWeights) -> None:
        """Remember weights and curves."""
        for plan, states, curve in zip(group.plans, weights.states, weights.curves, strict=True):
            if curve is not None and self.curves is not None:
                self.curves.add(plan, curve)
            self._keep(plan, states if isinstance(states, str) else states[0])

    def lose(self, group: Group, reason: str) -> None:
        """Remember which plans were not trained."""
        for plan in group.plans:
            self._keep(plan, reason)

    def alone(self, plan: Plan) -> Prepared:
        """The model with the float32 weights that it has after training in a plan's formats.

        Raises:
            NarrowerError: its loss became no number.
        """
        start = self._start(plan, self._place(plan))
        model = train_in_formats(
            self._begun(start), plan, self._subject.data.train, self._recipe, teacher=self._teacher
        )
        return self._prepared(plan, model, start)

    def kept(self, plan: Plan) -> Prepared | None:
        """The weights that a plan was scored with; None where they were not kept."""
        weights = self._before.of(plan)
        if weights is None:
            return None
        return self._prepared(plan, self.with_weights(weights).eval(), None)

    def fail(self, plan: Plan) -> None:
        """Let no plan start from this one, though it could be trained here."""
        self._before.fail(plan)

    def again(self, plans: Sequence[Plan]) -> list[Group]:
        """Plans that were trained before, in groups, from where each started then."""
        found = []
        for first in range(0, len(plans), self.at_once):
            some = plans[first : first + self.at_once]
            starts = [self._start(plan, self._place(plan)) for plan in some]
            begun = [None if start is None else self._before.weights(start) for start in starts]
            found.append(Group(tuple(some), begun=tuple(begun)))
        return found

    def with_seed(self, group: Group, seed: int) -> Made:
        """Train a group with another seed."""
        models = [self.with_weights(weights) for weights in group.begun]
        trained = self._trained(models, group.plans, replace(self._recipe, seed=seed))
        return Made(
            tuple(each if isinstance(each, str) else (each,) for each in trained), (None,) * len(trained)
        )

    def _place(self, plan: Plan) -> int:
        place = self._before.place(plan)
        return len(self._before) if place is None else place

    @property
    def _teacher(self) -> nn.Module | None:
        return self._subject.model if self._recipe.distillation else None

    def _start(self, plan: Plan, number: int) -> int | None:
        return self._before.start(plan, number) if self._starts_from_nearest else None

    def _begun(self, start: int | None) -> nn.Module:
        """The model that a plan starts from."""
        return self.with_weights(None if start is None else self._before.weights(start))

    def with_weights(self, weights: Mapping[str, Tensor] | None) -> nn.Module:
        """The model with some weights; None: as it is."""
        if weights is None:
            return self._subject.model
        model = own_copy(self._subject.model)
        model.load_state_dict(weights)
        return model

    def _keep(self, plan: Plan, weights: Mapping[str, Tensor] | str) -> None:
        if isinstance(weights, str):
            self._before.add(plan, None)
            return
        self._kept_bytes += sum(tensor.nbytes for tensor in weights.values())
        if self._starts_from_nearest or self._kept_bytes <= MOST_KEPT:
            self._before.add(plan, weights)

    def _trained(
        self,
        models: Sequence[nn.Module],
        plans: Sequence[Plan],
        recipe: Recipe,
        told: CurveSeen | None = None,
    ) -> list[nn.Module | str]:
        """Copies trained for plans, or why there is none; ``told`` is given curves."""
        try:
            return train_all(
                models,
                plans,
                self._subject.data.train,
                recipe,
                teacher=self._teacher,
                watched=None if told is None or self.curves is None else self.curves.watched,
                told=told,
            )
        except Exception as error:  # the user's own code
            return [described(error)] * len(plans)

    def _prepared(self, plan: Plan, model: nn.Module, start: int | None) -> Prepared:
        subject = self._subject
        program = with_parameters(subject.program, model, subject.program.network)
        candidate = Candidate(model, lower(program or subject.traced(model)))
        recorded = {} if start is None else {STARTED_FROM: float(start)}
        return Prepared((plan,), (candidate,), recorded=recorded)

    @cached_property
    def at_once(self) -> int:
        """Candidates that are trained at once, so that memory suffices."""
        if not is_together(self._recipe) or has_steps(self._subject.model):
            return 1
        operators = self._subject.program.network.operators
        values = sum(numel(operator.output_shape, self._recipe.batch_size) for operator in operators)
        return max(1, min(MOST_TOGETHER, MOST_VALUES // max(1, values)))
