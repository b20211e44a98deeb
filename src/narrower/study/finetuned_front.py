"""What finetuned plans came to: which weights stay, which plans are on the front after, how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.intervals import with_intervals
from narrower.export.compressed import save_compressed
from narrower.plan.plan import Plan, plan_to_dict
from narrower.report.curves import Epoch
from narrower.report.finetuned import FinetunedMember, FinetunedRecord
from narrower.searching.front import dominates, front_indices
from narrower.store.run_directory import RunDirectory
from narrower.store.trial import Trial
from narrower.study.front_seeds import leaders
from narrower.study.problem import Problem
from narrower.study.staged_training import InTraining
from narrower.study.trained_program import program_of
from narrower.tasks.intervals import value_of
from narrower.tasks.spread import interval_of_trainings
from narrower.tasks.task import leading
from narrower.training.continued import CURVE
from narrower.training.finetuning import Finetuning
from narrower.training.in_rounds import InRounds


@dataclass
class Tuned:
    """One plan on its way; ``contributions`` of each training to the leading metric, where they are known."""

    trial: Trial
    before: dict[str, float]
    training: InTraining
    after: dict[str, float] | None = None
    curve: tuple[float, ...] = ()
    failure: str | None = None
    contributions: tuple[NDArray[Any], ...] = ()
    epochs: tuple[Epoch, ...] = ()

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def plan(self) -> Plan:
        return self.training.plan


class FinetunedFront:
    """Chooses between weights before and after, takes the front again, and writes down its members."""

    def __init__(
        self, problem: Problem, run: RunDirectory, how: Finetuning, training: InRounds, batch_size: int
    ) -> None:
        self._problem, self._run, self._how = problem, run, how
        self._training, self._batch_size = training, batch_size
        self._metric = leading(problem.data.task)

    def kept(self, tuned: Tuned) -> dict[str, float]:
        """The metrics after, unless those before are better in all: then the float model's weights stay.

        Those of cross-validation are of other samples, and stay.
        """
        if tuned.after is None:
            return tuned.before
        before, after = (np.array(self._losses(metrics)) for metrics in (tuned.before, tuned.after))
        return tuned.before if self._how.folds == 1 and dominates(before, after) else tuned.after

    def is_trained(self, tuned: Tuned) -> bool:
        """Whether it is delivered with weights of its own."""
        return isinstance(tuned.training.state, dict) and self.kept(tuned) is tuned.after

    def _losses(self, metrics: dict[str, float]) -> tuple[float, ...]:
        return self._problem.objectives.losses(metrics)

    def after(self, every: Sequence[Tuned], before: set[int]) -> set[int]:
        """The trials on the front after; ``before`` are those that were on it."""
        ended = [tuned for tuned in every if tuned.failure is None or tuned.number in before]
        losses = np.array([self._losses(self.kept(tuned)) for tuned in ended])
        return {ended[int(row)].number for row in front_indices(losses)}

    def record(
        self,
        every: Sequence[Tuned],
        before: set[int],
        after: set[int],
        rounds: Sequence[tuple[int, int]],
        further_steps: int,
    ) -> FinetunedRecord:
        """Everything that is kept; members are looked at on the test part, and their weights are written."""
        on_front = [tuned for tuned in every if tuned.number in after]
        rows = [(self.kept(tuned), np.stack(tuned.contributions)) for tuned in on_front]
        lead = leaders(self._problem.objectives, self._metric, rows)
        certain = dict(zip((tuned.number for tuned in on_front), lead, strict=True))
        members = []
        for tuned in every:
            member = FinetunedMember(
                tuned.number,
                plan_to_dict(tuned.plan),
                tuned.before,
                tuned.after,
                tuned.training.step,
                tuned.curve,
                tuned.number in before,
                tuned.number in after,
                failure=tuned.failure,
                epochs=tuned.epochs,
            )
            members.append(self._delivered(member, tuned, certain) if member.is_member else member)
        recipe, problem = self._how.recipe, self._problem
        samples = len(problem.part) + (len(problem.data.train) if self._how.folds > 1 else 0)
        return FinetunedRecord(
            recipe=asdict(recipe),
            rounds=tuple(rounds),
            steps=sum(member.steps for member in members),
            steps_of_all=0,  # known where the pool is
            choosing=recipe.choosing_share if recipe.chooses else 0.0,
            metric=self._metric.name,
            objectives=tuple(o.metric for o in problem.objectives.each),
            samples=samples,
            part=problem.part_name,
            seconds=0.0,
            members=tuple(members),
            seeds=self._how.seeds,
            folds=self._how.folds,
            further_steps=further_steps,
            rivals=sum(member.steps > 0 and not member.was_member for member in members),
            order=self._how.order,
        )

    def _delivered(
        self, member: FinetunedMember, tuned: Tuned, certain: Mapping[int, bool | None]
    ) -> FinetunedMember:
        """A member of the front after, looked at on the test part, with its weights kept."""
        problem, path = self._problem, None
        program = problem.subject.lowered
        if isinstance(tuned.training.state, dict) and self.kept(tuned) is tuned.after:
            (model,) = self._training.weights([tuned.plan], [tuned.training.state])
            program = program_of(problem, model)
            path = self._run.path / "models" / f"finetuned-{member.number}.safetensors"
            save_compressed(model, problem.model_name, tuned.plan, path, problem.subject.examples)
        on_test = Evaluator(program, problem.data.test, batch_size=self._batch_size)
        (test,) = with_intervals(on_test, [tuned.plan.formats])
        values = tuple(value_of(self._metric, own) for own in tuned.contributions)
        return replace(
            member,
            interval=interval_of_trainings(self._metric, np.stack(tuned.contributions)),
            test_value=test.metrics.get(self._metric.name),
            test_interval=test.interval,
            weights=None if path is None else str(path.relative_to(self._run.path)),
            seed_values=values if self._how.seeds > 1 else (),
            certain=certain[tuned.number],
        )


def epochs_of(training: InTraining) -> tuple[Epoch, ...]:
    """The curve of a training."""
    if not isinstance(training.state, dict) or CURVE not in training.state:
        return ()
    return tuple(Epoch(int(step), *rest) for step, *rest in training.state[CURVE].tolist())
