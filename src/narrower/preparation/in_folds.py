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

    def __init__(self, subject: Subject, settings: CrossValidatedSettings) -> None:
        self._subject, self._settings = subject, settings
        self._delivered = Retrained(subject, settings)
        self._directory: Path | None = None
        self._recorded: tuple[Sequence[Plan], Sequence[Plan]] = ((), ())
        self.curves: Curves | None = None  # those of the first fold

    @property
    def words(self) -> str:
        """How plans are trained, and scored."""
        return f"{self._delivered.words}; scored by cross-validation in {self._settings.folds} folds"

    @property
    def together(self) -> int | None:
        """Many that are trained at once take less time."""
        return self._delivered.together

    def keep_in(self, directory: Path, plans: Sequence[Plan], failed: Sequence[Plan]) -> None:
        """Keep weights of each fold on disk; those of ``plans`` may lie there already."""
        self._directory, self._recorded = directory, (plans, failed)

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself, with the weights of each fold; one that goes wrong in any has a failure."""
        every = list(dict.fromkeys(plans))
        in_folds = [fold.way.prepare([fold.plan_of(plan) for plan in every]) for fold in self._folds]
        for plan, *of_folds in zip(every, *in_folds, strict=True):
            joined = self._joined(plan, of_folds)
            if joined.failure is not None:
                for fold in self._folds:
                    fold.way.fail(fold.plan_of(plan))
            yield joined

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
            model = self._float_model(teaches, directory)
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
