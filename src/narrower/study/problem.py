"""What is searched: model, data, space and objectives, before the model has its weights and after."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from torch import nn

from narrower.cost.network_cost import Convention, NetworkCost
from narrower.data.datasets import DataSet, Part
from narrower.errors import SettingsError
from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.own_metric import OwnMetric
from narrower.graph.called_modules import trace_or_call
from narrower.graph.folding import fold_batch_norm
from narrower.graph.groups import Channels
from narrower.graph.network import Network
from narrower.graph.program import Program, with_weights
from narrower.graph.resized_network import deployed_network
from narrower.models.checkpoints import load_weights
from narrower.models.class_order import check_class_order, class_order_problem
from narrower.models.ending import ending_of
from narrower.plan.plan import Plan
from narrower.preparation.preparation import Subject
from narrower.preparation.settings import CrossValidatedSettings, PreparationSettings, SharedSettings
from narrower.searching.costs import FormatCosts, ResizedCosts, SpaceCosts
from narrower.searching.edge_costs import EdgeCosts
from narrower.searching.objective import Constraint, Objectives
from narrower.searching.options import SearchOptions
from narrower.searching.refitted import refitted
from narrower.searching.space import Space, widest_of
from narrower.searching.space_settings import SpaceSettings
from narrower.settings.load import about
from narrower.study.calibrated_space import Calibrating, calibrated_space
from narrower.study.machine import WAYS_OUT, is_file
from narrower.tasks.task import Loss
from narrower.training.record import unfinished_note
from narrower.transform.resized import wanted_counts

SAMPLES_KEY = "search.strategy.sw_runner.basic_evaluation.num_samples"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Problem:
    """One search, posed.

    ``model`` is as it was built until it is given its weights, then as plans are applied to it. ``part`` are
    the samples that plans are scored on, ``backend`` says where. ``preparation`` says how plans get their
    weights. Where widths are searched, ``channels`` are the model's groups. ``states_order``: the user said
    in which order the model gives its classes, and ``data`` number them so. ``notes`` say what of the
    settings and of the network is passed over.
    """

    model_name: str
    data: DataSet
    part: Part
    part_name: str
    model: nn.Module
    program: Program
    space_settings: SpaceSettings
    space: Space
    objectives: Objectives
    constraints: tuple[Constraint, ...] = ()
    own_metrics: Mapping[str, OwnMetric] = field(default_factory=dict)
    options: SearchOptions = field(default_factory=SearchOptions)
    backend: BackendSettings = field(default_factory=BackendSettings)
    convention: Convention = "narrower"
    preparation: PreparationSettings = field(default_factory=SharedSettings)
    channels: Channels | None = None
    states_order: bool = False
    notes: tuple[str, ...] = ()

    @property
    def shares_weights(self) -> bool:
        """Whether all plans are scored with the same weights."""
        return self.preparation.shares_weights

    @cached_property
    def subject(self) -> Subject:
        """What is prepared: the model, its program and its data."""
        multipliers = {
            layer: widest
            for slot in self.space.slots
            for layer, widest in widest_of(slot).items()
            if widest > 1
        }
        return Subject(
            self.model_name,
            self.model,
            self.program,
            self.data,
            self.options.seed,
            self.channels,
            multipliers,
            self.space.plan((0,)) if self.space_settings.is_learned and self.channels is None else Plan(),
            self.part,
            self.refit,
        )

    def refit(self, model: nn.Module, data: DataSet) -> Callable[[Plan], Plan]:
        """What gives plans of the space the automatic fractions of another model, on other data."""
        other = with_model(replace(self, data=data), model)
        return refitted(self.space, other.space)

    @property
    def is_cross_validated(self) -> bool:
        """Whether plans are scored on samples of the training part as well."""
        return isinstance(self.preparation, CrossValidatedSettings)

    @property
    def samples(self) -> int:
        """How many samples score a plan."""
        return len(self.part) + (len(self.data.train) if self.is_cross_validated else 0)

    @property
    def scored_words(self) -> str:
        """Which part these are of."""
        return f"train and {self.part_name}" if self.is_cross_validated else self.part_name

    @property
    def wanted_trials(self) -> int:
        """Distinct plans that are asked for."""
        asked = self.options.trials
        return self.space.size if asked is None else min(asked, self.space.size)

    @cached_property
    def cost(self) -> NetworkCost:
        """What the network costs, by the convention of the search."""
        return NetworkCost(self.program.network, self.convention)

    @cached_property
    def costs(self) -> SpaceCosts:
        """What the plans of the space cost."""
        if self.space_settings.on_edges:
            return EdgeCosts(self.space, self.cost)
        if self.channels is None:
            return FormatCosts(self.space, self.cost)
        return ResizedCosts(self.space, partial(_resized_cost, self.channels, self.convention))

    def resized_cost(self, widths: Mapping[str, float]) -> NetworkCost:
        """What the network costs with other widths (multipliers by layer)."""
        return NetworkCost(self.resized_network(widths), self.convention)

    def resized_network(self, widths: Mapping[str, float]) -> Network:
        """The picture of the network with other widths."""
        return self.subject.network(widths)

    @cached_property
    def loss(self) -> Loss:
        """What training lowers, which what the model ends in decides."""
        return self.data.task.loss(ending_of(self.model, self.data.train.arguments, self.program.network))

    @property
    def ending_warnings(self) -> list[str]:
        """What is wrong with what the model ends in; at most one sentence."""
        return [f"{self.model_name} {self.loss.warning}"] if self.loss.warning else []

    @property
    def seen_metrics(self) -> set[str]:
        """Metrics that an objective or a constraint looks at."""
        return {o.metric for o in self.objectives.each} | {c.metric for c in self.constraints}


def _resized_cost(channels: Channels, convention: Convention, widths: Mapping[str, float]) -> NetworkCost:
    """Not a method: other processes compute costs as well, and a model's program cannot be sent to them."""
    return NetworkCost(deployed_network(channels, wanted_counts(channels, widths, {})), convention)


def first_samples(data: DataSet, part_name: str, count: int | None) -> Part:
    """The samples that plans are scored on.

    Raises:
        SettingsError: there are not as many.
    """
    part = data.parts[part_name]
    if count is None:
        return part
    if count > len(part):
        raise SettingsError(
            f"{SAMPLES_KEY}: found {count}; the {part_name} part of {data.name!r} has {len(part)} samples"
        )
    return part.first(count)


def given_weights(
    problem: Problem, path: Path, *, say: Say | None = None, calibrating: Calibrating | None = None
) -> Problem:
    """The problem with the weights of a file; without data it is only seen whether they fit.

    Raises:
        CheckpointError: they cannot be read, or do not fit.
    """
    model = load_weights(problem.model, path, say=say)
    return problem if problem.data.stands_in else with_model(problem, model, calibrating, is_own=True)


def named_weights(
    problem: Problem, path: Path, *, say: Say | None = None, calibrating: Calibrating | None = None
) -> Problem:
    """The problem with the weights that its settings name; see ``users_weights``.

    Raises:
        SettingsError: beginning with the key, where they cannot be read or do not fit.
    """
    with about("load_name"):
        if not is_file(path):
            raise SettingsError(f"{path} is not on this machine; allowed is {WAYS_OUT}")
        return users_weights(problem, path, say=say, calibrating=calibrating)


def users_weights(
    problem: Problem, path: Path, *, say: Say | None = None, calibrating: Calibrating | None = None
) -> Problem:
    """The problem with the weights of a file of the user's, whose classes may be in an order of their own.

    Raises:
        CheckpointError: they cannot be read, do not fit, or their classes seem to be in another order and the
            user has not said in which.
    """
    for line in unfinished_note(path):
        if say is not None:
            say(line)
    loaded = load_weights(problem.model, path, say=say)
    if not problem.states_order:
        check_class_order(loaded, problem.data, str(path))
    elif say is not None and (doubt := class_order_problem(loaded, problem.data)):
        say(f"{path}: {doubt}")
    return with_model(problem, loaded, calibrating, is_own=True)


def with_model(
    problem: Problem, model: nn.Module, calibrating: Calibrating | None = None, *, is_own: bool = False
) -> Problem:
    """The problem for a model that has its weights; automatic fractions are chosen for them.

    Weights that are the problem's own are held once; others may be changed by whoever gave them.
    """
    model = with_wanted_norms(model, problem.data, problem.space_settings)
    program = with_weights(problem.program, model, shared=is_own) or trace_or_call(
        model, problem.data.examples, problem.model_name
    )
    settings, task = problem.space_settings, problem.data.task
    taught = task.loss(ending_of(model, problem.data.train.arguments, program.network)).taught
    space = calibrated_space(program, problem.data, settings, problem.channels, taught, calibrating)
    return replace(problem, model=model, program=program, space=space)


def with_wanted_norms(model: nn.Module, data: DataSet, settings: SpaceSettings) -> nn.Module:
    """The model, with its batch norms in the products before them where the settings fold them."""
    return fold_batch_norm(model, data.examples) if settings.folds_batch_norm else model


def any_fraction(_layer: str, _operand: str, width: int) -> int:
    """Stands in for calibration where only the shape of a space matters."""
    return width // 2
