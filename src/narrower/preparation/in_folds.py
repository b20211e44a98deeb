"""Each plan is trained in each fold, and scored by cross-validation: each sample by weights without it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from narrower.data.folds import folds_of, together
from narrower.data.parts import Part
from narrower.graph.lower import lower
from narrower.graph.own_copy import own_copy
from narrower.graph.program import with_parameters
from narrower.plan.plan import Plan
from narrower.preparation.curves import Curves
from narrower.preparation.groups import Group, Made, MadeWeights, Weights, in_turn
from narrower.preparation.preparation import Candidate, Prepared, Refitted, Subject
from narrower.preparation.retrained import Retrained
from narrower.preparation.settings import CrossValidatedSettings
from narrower.store.files import replacing
from narrower.training.one_model import train_weights
from narrower.training.untrained import untrained

FLOAT_FILE = "float.safetensors"


@dataclass(frozen=True, slots=True)
class Fold:
    """How plans are trained in a fold, from which float model, and the samples that score them there.

    ``plan_of`` is a plan with automatic fractions of that float model.
    """

    way: Retrained
    subject: Subject
    scores: Part
    plan_of: Refitted


class InFolds:
    """Quantization-aware training of every plan in every fold; the plans of a fold are trained together.

    The samples are those of the training part and those that the search scores on. The float model of a fold
    is trained on what teaches in it, from parameters that are drawn anew: what the given model was trained on
    would not be known.
    """

    keeps = True

    def __init__(self, subject: Subject, settings: CrossValidatedSettings) -> None:
        self._subject, self._settings = subject, settings
        self._delivered = Retrained(subject, settings)
        self._directory: Path | None = None
        self._given: tuple[Weights, ...] = ()
        self._recorded: tuple[Sequence[Plan], Sequence[Plan]] = ((), ())
        self.curves: Curves | None = None  # those of the first fold

    @property
    def words(self) -> str:
        """How plans are trained, and scored."""
        return f"{self._delivered.words}; scored by cross-validation in {self._settings.folds} folds"

    @property
    def at_once(self) -> int:
        """Candidates that are trained at once in a fold."""
        return self._delivered.at_once

    @property
    def float_weights(self) -> tuple[Weights, ...]:
        """Those of the float models of the folds."""
        return tuple(fold.subject.model.state_dict() for fold in self._folds)

    def begin_from(self, float_weights: Sequence[Weights]) -> None:
        """Take the float models of another process, which are not trained again."""
        self._given = tuple(float_weights)

    @property
    def together(self) -> int | None:
        """Many that are trained at once take less time."""
        return self._delivered.together

    def keep_in(self, directory: Path, plans: Sequence[Plan], failed: Sequence[Plan]) -> None:
        """Keep weights of each fold on disk; those of ``plans`` may lie there already."""
        self._directory, self._recorded = directory, (plans, failed)

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself, with the weights of each fold; one that goes wrong in any has a failure."""
        return in_turn(self, plans)

    def waves(self, lists: Sequence[Sequence[Plan]]) -> Iterator[list[Group]]:
        """All groups at once; where plans start from the nearest one, one after the other."""
        if self._settings.start != "nearest":
            for wave in self._delivered.waves(lists):
                yield [replace(group, parts=self._parts(group.plans)) for group in wave]
            return
        every = list(dict.fromkeys(plan for plans in lists for plan in plans))
        in_folds = [fold.way.waves([[fold.plan_of(plan) for plan in every]]) for fold in self._folds]
        for of_folds in zip(*in_folds, strict=True):
            parts = tuple(groups[0] for groups in of_folds)
            count = len(parts[0].plans)
            some, every = every[:count], every[count:]
            yield [Group(tuple(some), parts=parts)]

    def make(self, group: Group) -> Made:
        """Train a group in each fold."""
        made = [fold.way.make(part) for fold, part in zip(self._folds, group.parts, strict=True)]
        models: list[tuple[nn.Module, ...] | str] = []
        for of_folds in zip(*(each.models for each in made), strict=True):
            failure = next((each for each in of_folds if isinstance(each, str)), None)
            models.append(failure or tuple(each[0] for each in of_folds if not isinstance(each, str)))
        return Made(tuple(models), made[0].curves)

    def prepared(self, group: Group, made: Made) -> Iterator[Prepared]:
        """Each plan by itself, with the weights of each fold."""
        for place, (plan, models) in enumerate(zip(group.plans, made.models, strict=True)):
            if isinstance(models, str):
                yield Prepared((plan,), (), models)
                continue
            of_folds = list[Prepared]()
            for fold, part, model in zip(self._folds, group.parts, models, strict=True):
                alone = Group(part.plans[place : place + 1], part.starts[place : place + 1])
                of_folds += fold.way.prepared(alone, Made(((model,),)))
            yield self._joined(plan, of_folds)

    def keep(self, group: Group, weights: MadeWeights) -> None:
        """Remember the weights of each fold, and the curves of the first; a failure in any counts in all."""
        for number, (fold, part) in enumerate(zip(self._folds, group.parts, strict=True)):
            states = tuple(each if isinstance(each, str) else (each[number],) for each in weights.states)
            curves = weights.curves if number == 0 else (None,) * len(group.plans)
            fold.way.keep(part, MadeWeights(states, curves))

    def lose(self, group: Group, reason: str) -> None:
        """Remember which plans were not trained."""
        for fold, part in zip(self._folds, group.parts, strict=True):
            fold.way.lose(part, reason)

    def alone(self, plan: Plan) -> Prepared:
        """A plan trained in each fold apart from all others.

        Raises:
            NarrowerError: its loss became no number.
        """
        return self._joined(plan, [fold.way.alone(fold.plan_of(plan)) for fold in self._folds])

    def kept(self, plan: Plan) -> Prepared | None:
        """The weights of each fold that a plan was scored with; None where some were not kept."""
        made = (fold.way.kept(fold.plan_of(plan)) for fold in self._folds)
        found = [kept for kept in made if kept is not None]
        return self._joined(plan, found) if len(found) == len(self._folds) else None

    def delivered(self, plan: Plan) -> Prepared:
        """The weights that a plan is delivered with: what the training part alone teaches the given model.

        Raises:
            NarrowerError: its loss became no number.
        """
        return self._delivered.alone(plan)

    def floats(self) -> Prepared:
        """The float models of the folds."""
        candidates = [
            Candidate(fold.subject.model, lower(fold.subject.program), fold.scores) for fold in self._folds
        ]
        return Prepared((Plan(),), tuple(candidates), keep="folds")

    def _joined(self, plan: Plan, of_folds: Sequence[Prepared]) -> Prepared:
        plans = (plan,)
        failure = next((each.failure for each in of_folds if each.failure is not None), None)
        if failure is not None:
            return Prepared(plans, (), failure)
        candidates = tuple(
            replace(each.candidates[0], part=fold.scores, plan=fold.plan_of(plan))
            for each, fold in zip(of_folds, self._folds, strict=True)
        )
        return Prepared(plans, candidates, keep="folds", recorded=of_folds[0].recorded)

    @cached_property
    def _folds(self) -> list[Fold]:
        """Made when they are first asked for: their float models are trained."""
        subject, settings, found = self._subject, self._settings, list[Fold]()
        assert subject.scored is not None, "the samples that plans are scored on"
        samples = together(subject.data.train, subject.scored)
        cut = folds_of(samples, settings.folds, settings.training.seed)
        for number, (teaches, scores) in enumerate(cut, start=1):
            directory = None if self._directory is None else self._directory / f"fold-{number}"
            model = self._given_model(number) or self._float_model(teaches, directory)
            program = with_parameters(subject.program, model, subject.program.network)
            data = replace(subject.data, train=teaches, validation=scores)
            own = replace(subject, model=model, program=program or subject.traced(model), data=data)
            way = Retrained(own, settings)
            plan_of = subject.refit(model, data) if subject.refit is not None else _as_it_is
            if directory is not None:
                way.keep_in(directory, *([plan_of(plan) for plan in some] for some in self._recorded))
            if self.curves is not None and number == 1:
                way.curves = Curves(scores, self.curves.directory)
            found.append(Fold(way, own, scores, plan_of))
        return found

    def _parts(self, plans: Sequence[Plan]) -> tuple[Group, ...]:
        return tuple(Group(tuple(fold.plan_of(plan) for plan in plans)) for fold in self._folds)

    def _given_model(self, number: int) -> nn.Module | None:
        if not self._given:
            return None
        model = own_copy(self._subject.model)
        model.load_state_dict(self._given[number - 1])
        return model.eval()

    def _float_model(self, teaches: Part, directory: Path | None) -> nn.Module:
        """The float model of a fold; it is trained once."""
        path = None if directory is None else directory / FLOAT_FILE
        begun = own_copy(self._subject.model)
        if path is not None:
            try:
                begun.load_state_dict(load_file(path))
            except (SafetensorError, OSError, RuntimeError):
                pass  # none lies there
            else:
                return begun.eval()
        settings = self._settings
        model = train_weights(untrained(begun, settings.float_recipe.seed), teaches, settings.float_recipe)
        if path is not None:
            with replacing(path) as partial:
                save_file({name: own.contiguous() for name, own in model.state_dict().items()}, partial)
        return model


def _as_it_is(plan: Plan) -> Plan:
    return plan
