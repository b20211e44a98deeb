"""Each plan is trained in its number formats before it is scored: from the model's weights, or another's."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from torch import nn

from narrower.graph.lower import lower
from narrower.graph.network import numel
from narrower.graph.own_copy import own_copy
from narrower.graph.program import with_parameters
from narrower.own_code.failures import described
from narrower.plan.plan import Plan
from narrower.preparation.curves import Curves
from narrower.preparation.nearest import TrainedBefore
from narrower.preparation.preparation import Candidate, Prepared, Subject
from narrower.preparation.settings import STARTED_FROM, RetrainedSettings
from narrower.training.many import is_together, train_all, train_in_formats
from narrower.training.recipe import Recipe

MOST_TOGETHER = 32  # candidates that are trained at once
GROUP = 16  # of these start from plans before all of them, where plans start from the nearest one
MOST_KEPT = 2**30  # bytes of trained weights that are kept where no plan starts from them
MOST_VALUES = 2**26  # numbers that the layers of these may hold for one batch


class Retrained:
    """Quantization-aware training of every plan with the same seed: many at once, with the same results.

    The weights of what was trained are kept, for plans that start from the nearest one, and so that members
    of a front are not trained once more.
    """

    def __init__(self, subject: Subject, settings: RetrainedSettings) -> None:
        self._subject, self._recipe = subject, settings.training
        self._starts_from_nearest = settings.start == "nearest"
        self._before = TrainedBefore(min(GROUP, self._at_once))
        self._kept_bytes = 0
        self.curves: Curves | None = None  # where the search has a part that scores, and a directory

    @property
    def words(self) -> str:
        """How plans are trained."""
        at_once = "one at a time" if self._at_once == 1 else f"up to {self._at_once} at once"
        start = ", from the weights of the nearest plan before it" if self._starts_from_nearest else ""
        return f"each candidate trained in its number formats{start}, {at_once}"

    @property
    def together(self) -> int | None:
        """Many that are trained at once take less time."""
        return self._at_once if self._at_once > 1 else None

    def keep_in(self, directory: Path, plans: Sequence[Plan], failed: Sequence[Plan]) -> None:
        """Keep weights on disk; those of ``plans``, in the order of their trials, may lie there already."""
        self._before.go_on(directory, plans, failed)

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself; one that goes wrong has a failure."""
        every = list(dict.fromkeys(plans))
        while every:
            at_once = self._at_once
            if self._starts_from_nearest:
                at_once = self._before.in_group(len(self._before))
            some, every = every[:at_once], every[at_once:]
            starts = [self._start(plan, len(self._before) + place) for place, plan in enumerate(some)]
            for plan, start, trained in zip(some, starts, self._trained(some, starts), strict=True):
                self._keep(plan, trained)
                if isinstance(trained, str):
                    yield Prepared((plan,), (), trained)
                else:
                    yield self._prepared(plan, trained, start)

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
        model = own_copy(self._subject.model)
        model.load_state_dict(weights)
        return self._prepared(plan, model.eval(), None)

    def fail(self, plan: Plan) -> None:
        """Let no plan start from this one, though it could be trained here."""
        self._before.fail(plan)

    def again(self, plans: Sequence[Plan], seed: int) -> list[nn.Module | str]:
        """Each plan trained with another seed, from where it started before; or why it cannot be."""
        found: list[nn.Module | str] = []
        for first in range(0, len(plans), self._at_once):
            some = plans[first : first + self._at_once]
            starts = [self._start(plan, self._place(plan)) for plan in some]
            found += self._trained(some, starts, replace(self._recipe, seed=seed))
        return found

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
        if start is None:
            return self._subject.model
        model = own_copy(self._subject.model)
        model.load_state_dict(self._before.weights(start))
        return model

    def _keep(self, plan: Plan, trained: nn.Module | str) -> None:
        if isinstance(trained, str):
            self._before.add(plan, None)
            return
        weights = trained.state_dict()
        self._kept_bytes += sum(tensor.nbytes for tensor in weights.values())
        if self._starts_from_nearest or self._kept_bytes <= MOST_KEPT:
            self._before.add(plan, weights)

    def _trained(
        self, plans: Sequence[Plan], starts: Sequence[int | None], other: Recipe | None = None
    ) -> list[nn.Module | str]:
        """Plans trained by the recipe, or by an ``other`` that leaves no curves."""
        models = [self._begun(start) for start in starts]
        curves = self.curves if other is None else None
        try:
            return train_all(
                models,
                plans,
                self._subject.data.train,
                other or self._recipe,
                teacher=self._teacher,
                watched=None if curves is None else curves.watched,
                told=None if curves is None else lambda place, curve: curves.add(plans[place], curve),
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
    def _at_once(self) -> int:
        """Candidates that are trained at once, so that memory suffices."""
        if not is_together(self._recipe):
            return 1
        operators = self._subject.program.network.operators
        values = sum(numel(operator.output_shape, self._recipe.batch_size) for operator in operators)
        return max(1, min(MOST_TOGETHER, MOST_VALUES // max(1, values)))
