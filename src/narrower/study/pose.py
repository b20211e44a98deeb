"""From settings to what is searched; everything that is wrong with them shows here, at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from narrower.data.datasets import DataSet, Part, load_data_set
from narrower.errors import Mistakes, SettingsError
from narrower.evaluate.own_metric import OwnMetric, named_metrics, own_metric
from narrower.graph.called_modules import trace_or_call
from narrower.graph.groups import Channels
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.watched_chain import watched_chain
from narrower.models.build import build_model
from narrower.models.catalogue import model_note
from narrower.models.class_order import in_class_order
from narrower.models.fit import check_fit
from narrower.preparation.learned import learnable_chain
from narrower.preparation.settings import (
    LearnedSettings,
    PreparationSettings,
    RetrainedSettings,
    SharedSettings,
)
from narrower.searching.build_space import build_space
from narrower.searching.match_layers import SEED, match_layers, require_matches
from narrower.searching.objective import Constraint, Objectives
from narrower.searching.space import Space
from narrower.searching.space_settings import SpaceSettings
from narrower.settings import convert, convert_objectives, convert_preparation
from narrower.settings.convert_space import seed_keys, space_settings
from narrower.settings.passes import with_passes
from narrower.settings.schema import RunSettings
from narrower.settings.strategy_table import DATA_LOADERS
from narrower.study.data import named_data, present_data
from narrower.study.limits import check_trainable
from narrower.study.notes import notes_of
from narrower.study.possible import check_options, check_possible
from narrower.study.problem import Problem, Say, any_fraction, first_samples, with_wanted_norms
from narrower.transform.tried_channels import tried_channels

SPACE = "search.search_space"
STRATEGY = "search.strategy"


def pose(settings: RunSettings, *, absent: Say | None = None) -> Problem:
    """Load the data and the untrained model, and build the space.

    ``absent`` is told what is missing where data are not here, and something stands in for them; without it
    that is a mistake.

    Raises:
        SettingsError: beginning with the keys of the settings file that are wrong.
    """
    problem = _Look(settings, (), absent).problem()
    assert problem is not None
    return problem


def look_at_rest(settings: RunSettings, wrong: Sequence[Sequence[str]], *, absent: Say | None) -> None:
    """Look for more mistakes in settings in which something stands in for what is wrong at some places.

    What follows from those places is not looked at.

    Raises:
        SettingsError: beginning with the keys of the settings file that are wrong.
    """
    _Look(settings, [".".join(place) for place in wrong], absent).problem()


@dataclass(frozen=True, slots=True)
class _Traced:
    """A model before it has its weights, as it is deployed, and its program."""

    model: nn.Module
    deployed: nn.Module
    program: Program


class _Look:
    """Goes through settings part by part; a part that is wrong is None, as is what would follow from it."""

    def __init__(self, settings: RunSettings, wrong: Sequence[str], absent: Say | None) -> None:
        self._settings, self._wrong, self._absent = settings, wrong, absent
        self._strategy = settings.search.strategy
        self._mistakes = Mistakes()

    def problem(self) -> Problem | None:
        """The problem; None where something stands in for what is wrong.

        Raises:
            SeveralMistakesError: with everything that was found.
        """
        parts = (self._part, self._own_metrics, self._preparation, self._objectives, self._constraints)
        problem = self._built(*parts)
        if problem is not None:
            self._look_at(problem)
        self._mistakes.found = [self._as_written(mistake) for mistake in self._mistakes.found]
        self._mistakes.check()
        return None if self._wrong else problem

    def _built(
        self,
        part: Part | None,
        own_metrics: dict[str, OwnMetric],
        preparation: PreparationSettings | None,
        objectives: Objectives | None,
        constraints: tuple[Constraint, ...] | None,
    ) -> Problem | None:
        traced, samples, chosen, space = self._traced, self._samples, self._space_settings, self._space
        if traced is None or samples is None or chosen is None or space is None:
            return None
        return Problem(
            model_name=self._settings.model,
            data=samples,
            part=part or samples.parts[self._part_name],
            part_name=self._part_name,
            model=traced.model,
            program=traced.program,
            space_settings=chosen,
            space=space,
            objectives=objectives or Objectives(()),
            constraints=constraints or (),
            own_metrics=own_metrics,
            options=convert.search_options(self._settings),
            backend=convert.backend_settings(self._settings),
            convention=self._strategy.hw_runner.average_bitwidth.convention,  # type: ignore[arg-type]
            preparation=preparation or SharedSettings(),
            channels=self._channels,
            states_order=self._settings.class_order is not None,
            notes=notes_of(
                self._settings,
                samples,
                traced.program,
                chosen,
                self._channels,
                has_objectives=objectives is not None,
            ),
        )

    def _look_at(self, problem: Problem) -> None:
        """Whether the problem as a whole can be searched."""
        with self._mistakes.about():
            check_possible(problem)
        if self._preparation is not None and self._objectives is not None:
            with self._mistakes.about():
                check_options(problem)
        if isinstance(self._preparation, LearnedSettings) and self._traced is not None:
            with self._mistakes.about(SEED):
                self._look_at_learned(problem, lower(self._traced.program), self._preparation)
        if isinstance(self._preparation, RetrainedSettings) and self._traced is not None:
            with self._mistakes.about():
                layers = (layer for slot in problem.space.slots for layer in slot.layers)
                check_trainable(self._traced.deployed, self._traced.program, layers)

    def _look_at_learned(self, problem: Problem, lowered: Program, learned: LearnedSettings) -> None:
        """Whether the widths of the network can be learned."""
        chain = learnable_chain(lowered, problem.data.task, learned, problem.subject.kept)
        if chain is None and learned.candidates > 1:
            self._mistakes.found.append(
                f"{STRATEGY}.training.n_seeds: found {learned.candidates}; a network that is no chain of "
                "linear layers is learned from the weights that it has; allowed: 1"
            )

    def _is_right(self, *keys: str) -> bool:
        """Whether nothing is wrong at these keys, below them or above them."""
        pairs = [(f"{key}.", f"{place}.") for key in keys for place in self._wrong]
        return not any(key.startswith(place) or place.startswith(key) for key, place in pairs)

    def _as_written(self, mistake: str) -> str:
        """Constraints may stand among the metrics, as bounds of these."""
        for name in set(self._strategy.metrics) - set(self._strategy.constraints):
            for ours, theirs in (("min", "lower_bound"), ("max", "upper_bound")):
                start = f"{STRATEGY}.constraints.{name}.{ours}: "
                if mistake.startswith(start):
                    return f"{STRATEGY}.metrics.{name}.{theirs}: {mistake.removeprefix(start)}"
        return mistake

    @property
    def _part_name(self) -> str:
        return DATA_LOADERS[self._strategy.sw_runner.basic_evaluation.data_loader]

    @cached_property
    def _data(self) -> DataSet | None:
        if not self._is_right("dataset", "data_path", "class_order"):
            return None
        with self._mistakes.about():
            if self._absent is None:
                return self._in_order(named_data(self._settings))
            data, missing = present_data(self._settings)
            if missing is not None:
                self._absent(missing)
            return self._in_order(data)
        return None

    def _in_order(self, data: DataSet) -> DataSet:
        """Data whose classes are numbered as the model gives them, where the user says how."""
        order = self._settings.class_order
        return data if order is None else in_class_order(data, order)

    @cached_property
    def _part(self) -> Part | None:
        evaluation = self._strategy.sw_runner.basic_evaluation
        if self._data is not None:
            with self._mistakes.about():
                return first_samples(self._data, self._part_name, evaluation.num_samples)
        return None

    @cached_property
    def _samples(self) -> DataSet | None:
        """The data, or where they are not there, some of the kind that a model of the program takes."""
        if self._data is not None:
            return self._data
        known = model_note(self._settings.model) if self._is_right("model") else None
        return None if known is None else load_data_set(known.data_set)

    @cached_property
    def _space_settings(self) -> SpaceSettings | None:
        if self._is_right(SPACE):
            with self._mistakes.about():
                return with_passes(space_settings(self._settings), self._settings)
        return None

    @cached_property
    def _traced(self) -> _Traced | None:
        name, samples, chosen = self._settings.model, self._samples, self._space_settings
        if samples is not None and self._is_right("model"):
            with self._mistakes.about("model"):
                model = build_model(name, seed=self._settings.seed, sizes=samples.sizes)
                check_fit(model, samples)
                made = model if chosen is None else with_wanted_norms(model, samples, chosen)
                examples = samples.examples
                is_one = chosen is not None and len(examples) == 1
                chain = watched_chain(made, examples[0], name) if is_one else None
                return _Traced(model, made, chain or trace_or_call(made, examples, name))
        return None

    @cached_property
    def _channels(self) -> Channels | None:
        traced, samples, chosen = self._traced, self._samples, self._space_settings
        if traced is not None and samples is not None and chosen is not None and chosen.resizes:
            with self._mistakes.about("model"):
                return tried_channels(traced.deployed, traced.program, samples.examples)
        return None

    @cached_property
    def _space(self) -> Space | None:
        """The space; where its settings are wrong, at least the names of layers are looked at."""
        traced, chosen = self._traced, self._space_settings
        if traced is None or (chosen is not None and chosen.resizes and self._channels is None):
            return None
        with self._mistakes.about():
            if chosen is not None:
                if chosen.on_edges and traced.program.untraced is not None:
                    raise SettingsError(
                        f"{SPACE}.setup.quantize: found 'edges'; {traced.program.untraced.reason}; without a "
                        "graph there are no edges; allowed: 'operands'"
                    )
                return build_space(traced.program.network, chosen, any_fraction, self._channels)
            require_matches(match_layers(traced.program.network, *seed_keys(self._settings)))
        return None

    @cached_property
    def _own_metrics(self) -> dict[str, OwnMetric]:
        found: dict[str, OwnMetric] = {}
        for table in ("metrics", "constraints"):
            for name in getattr(self._strategy, table):
                if ":" in name and name not in found:
                    with self._mistakes.about(f"{STRATEGY}.{table}.{name}"):
                        found[name] = own_metric(name)
            if self._data is not None:
                found |= named_metrics(self._data.task, getattr(self._strategy, table))
        return found

    @cached_property
    def _preparation(self) -> PreparationSettings | None:
        if self._is_right(
            f"{SPACE}.name", f"{STRATEGY}.training", f"{STRATEGY}.eval_mode", f"{STRATEGY}.sw_runner"
        ):
            with self._mistakes.about():
                return convert_preparation.preparation_settings(self._settings)
        return None

    @cached_property
    def _objectives(self) -> Objectives | None:
        if self._is_right(f"{STRATEGY}.metrics", f"{STRATEGY}.setup"):
            with self._mistakes.about():
                return convert_objectives.objectives(self._settings)
        return None

    @cached_property
    def _constraints(self) -> tuple[Constraint, ...] | None:
        if self._is_right(f"{STRATEGY}.metrics", f"{STRATEGY}.constraints"):
            with self._mistakes.about():
                return convert_objectives.constraints(self._settings)
        return None
