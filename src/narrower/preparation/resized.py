"""Each plan is a network of other widths; all plans of the same widths have the same weights."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from torch import nn

from narrower.errors import NarrowerError
from narrower.graph.lower import lower
from narrower.graph.network import numel
from narrower.graph.program import with_parameters
from narrower.graph.trace import trace
from narrower.plan.plan import Plan
from narrower.preparation.groups import Group, Made, MadeWeights, Weights
from narrower.preparation.preparation import Candidate, Prepared, Subject
from narrower.preparation.settings import CandidateSettings
from narrower.training.chain_of_layers import layers_of_chain
from narrower.training.one_model import train_weights
from narrower.training.recipe import Recipe, seeds_from
from narrower.training.together import train_together
from narrower.transform.resized import wanted_counts, with_counts

MOST_TOGETHER = 64  # candidates that are trained at once
MOST_VALUES = 2**28  # numbers that the layers of these may hold for one batch
MOST_KEPT = 2**28  # bytes of trained weights that are kept for plans of the same widths
TAYLOR_SAMPLES = 1024

Widths = tuple[tuple[str, float], ...]
Models = tuple[nn.Module, ...] | str  # that of each seed, or why there is none
Kept = Sequence[nn.Module | Weights] | str  # the same, or weights


class Resized:
    """Resizes the model and trains what comes out, many candidates at once where it is a chain."""

    keeps = True

    def __init__(self, subject: Subject, settings: CandidateSettings) -> None:
        self._subject, self._settings = subject, settings
        self._trained: OrderedDict[Widths, Kept] = OrderedDict()
        self._alone: dict[Widths, list[nn.Module]] = {}
        self._kept_bytes = 0

    @property
    def words(self) -> str:
        """How candidates get their weights."""
        settings = self._settings
        if settings.training is None:
            return f"not trained: scored with the model's own weights ({settings.weights})"
        how = f"{settings.weights}, {settings.training.max_epochs} epochs"
        if settings.seeds > 1:
            how += f", {settings.keep} of {settings.seeds} seeds"
        if self._trains_together:
            return f"{how}, up to {self.at_once} at once"
        return (
            f"{how}, one at a time: {self._subject.model_name} is no chain of linear layers, convolutions, "
            "batch norms, activations and pooling"
        )

    @property
    def together(self) -> int | None:
        """Many candidates that are trained at once take less time."""
        return None if self._settings.training is None else MOST_TOGETHER

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Plans of the same widths in one group."""
        by_widths = _by_widths(plans)
        every = list(by_widths)
        for start in range(0, len(every), self.at_once):
            some = every[start : start + self.at_once]
            missing = [by_widths[widths] for widths in some if widths not in self._trained]
            if missing:
                group = Group(tuple(plan for plans in missing for plan in plans))
                self._hold(group, self.make(group).models)
            for widths in some:
                models = self._models(widths)
                self._trained.move_to_end(widths)
                yield from self._of_widths(by_widths[widths], widths, models)

    def waves(self, lists: Sequence[Sequence[Plan]]) -> Iterator[list[Group]]:
        """All at once; plans of the same widths are in one group."""
        whole = _by_widths([plan for plans in lists for plan in plans])
        groups, begun = [], set(self._trained)
        for plans in lists:
            every = list(_by_widths(plans))
            for start in range(0, len(every), self.at_once):
                missing = [widths for widths in every[start : start + self.at_once] if widths not in begun]
                begun.update(missing)
                if missing:
                    groups.append(Group(tuple(plan for widths in missing for plan in whole[widths])))
        yield groups

    def make(self, group: Group) -> Made:
        """Train the different widths of a group together."""
        found = self._train(list(_by_widths(group.plans)))
        return Made(tuple(found.values()))

    def prepared(self, group: Group, made: Made) -> Iterator[Prepared]:
        """Plans of the same widths together."""
        by_widths = _by_widths(group.plans)
        for widths, models in zip(by_widths, made.models, strict=True):
            yield from self._of_widths(by_widths[widths], widths, models)

    def keep(self, group: Group, weights: MadeWeights) -> None:
        """Remember weights."""
        self._hold(group, weights.states)

    def lose(self, group: Group, reason: str) -> None:
        """Remember which widths were not trained."""
        for widths in _by_widths(group.plans):
            self._keep(widths, reason)

    def _hold(self, group: Group, found: Sequence[Kept]) -> None:
        for widths, each in zip(_by_widths(group.plans), found, strict=True):
            self._keep(widths, each)

    def _of_widths(self, plans: Sequence[Plan], widths: Widths, models: Models) -> Iterator[Prepared]:
        if isinstance(models, str):
            yield Prepared(tuple(plans), (), models)
        else:
            yield self._prepared(plans, widths, models)

    def _models(self, widths: Widths) -> Models:
        """The models that were kept; where weights came from another process, made of these."""
        kept = self._trained[widths]
        if isinstance(kept, str):
            return kept
        models = []
        for seed, each in zip(seeds_from(self._subject.seed, self._settings.seeds), kept, strict=True):
            if isinstance(each, nn.Module):
                models.append(each)
            else:
                models.append(self._initial(widths, seed))
                models[-1].load_state_dict(each)
        self._trained[widths] = tuple(models)
        return tuple(models)

    def alone(self, plan: Plan) -> Prepared:
        """The plan's widths trained by themselves, with each seed."""
        widths = tuple(plan.widths.items())
        if widths not in self._alone:  # members of a front often share their widths
            settings, models = self._settings, []
            for number, seed in enumerate(seeds_from(self._subject.seed, settings.seeds)):
                model = self._initial(widths, seed)
                if settings.training is not None:
                    training = self._recipe(number)
                    model = train_weights(model, self._subject.data.train, training)
                models.append(model.eval())
            self._alone[widths] = models
        return self._prepared([plan], widths, self._alone[widths])

    def kept(self, plan: Plan) -> Prepared | None:
        """The weights that a plan was scored with; None where they were not kept."""
        widths = tuple(plan.widths.items())
        models = self._models(widths) if widths in self._trained else ""
        return None if isinstance(models, str) else self._prepared([plan], widths, models)

    def _prepared(self, plans: Sequence[Plan], widths: Widths, models: Sequence[nn.Module]) -> Prepared:
        network = self._subject.network(dict(widths))
        candidates = []
        for model in models:
            program = with_parameters(self._subject.program, model, network)
            if program is None:
                program = trace(model, self._subject.examples, self._subject.model_name)
            candidates.append(Candidate(model, lower(program)))
        return Prepared(tuple(plans), tuple(candidates), keep=self._settings.keep)

    @cached_property
    def _trains_together(self) -> bool:
        train = self._subject.data.train
        chain = None if train.more else layers_of_chain(self._subject.model, train.inputs[:2])
        return self._settings.training is not None and chain is not None

    @cached_property
    def at_once(self) -> int:
        """Candidates that are trained at once, so that memory suffices."""
        if not self._trains_together or self._settings.training is None:
            return 1
        operators = self._subject.network(self._subject.multipliers or {}).operators
        values = sum(
            numel(operator.output_shape, self._settings.training.batch_size) for operator in operators
        )
        return max(1, min(MOST_TOGETHER, MOST_VALUES // values))

    def _initial(self, widths: Widths, seed: int) -> nn.Module:
        """A candidate before it is trained.

        Raises:
            NarrowerError: the model cannot have these widths.
        """
        subject, settings = self._subject, self._settings
        assert subject.channels is not None
        train = subject.data.train
        data = None
        if settings.importance == "taylor":
            data = train.first(TAYLOR_SAMPLES)
        return with_counts(
            subject.model,
            subject.examples,
            subject.channels,
            wanted_counts(subject.channels, dict(widths), {}),
            weights=settings.weights,
            importance=settings.importance,
            data=data,
            seed=seed,
        ).eval()

    def _recipe(self, number: int) -> Recipe:
        """How candidates are trained for the seed of that number."""
        assert self._settings.training is not None
        training = self._settings.training
        return replace(training, seed=seeds_from(training.seed, self._settings.seeds)[number])

    def _train(self, missing: Sequence[Widths]) -> dict[Widths, Models]:
        settings = self._settings
        candidates: dict[Widths, list[nn.Module]] = {}
        failures: dict[Widths, str] = {}
        for widths in missing:
            try:
                seeds = seeds_from(self._subject.seed, settings.seeds)
                candidates[widths] = [self._initial(widths, seed) for seed in seeds]
            except NarrowerError as error:
                failures[widths] = str(error)
        if settings.training is not None and candidates:
            for seed in range(settings.seeds):
                training = self._recipe(seed)
                models = [models[seed] for models in candidates.values()]
                for widths, trained in zip(candidates, self._trained_models(models, training), strict=True):
                    if isinstance(trained, str):
                        failures.setdefault(widths, trained)
                    else:
                        candidates[widths][seed] = trained
        return {widths: failures.get(widths) or tuple(candidates[widths]) for widths in missing}

    def _trained_models(self, models: Sequence[nn.Module], training: Recipe) -> list[nn.Module | str]:
        """Trained copies, or why there is none."""
        data = self._subject.data
        if self._trains_together:
            trained = train_together(models, data.train, training)
            return [failure or model for model, failure in zip(trained.models, trained.failures, strict=True)]
        alone: list[nn.Module | str] = []
        for model in models:
            try:
                alone.append(train_weights(model, data.train, training))
            except NarrowerError as error:
                alone.append(str(error))
        return alone

    def _keep(self, widths: Widths, models: Kept) -> None:
        self._trained[widths] = models
        self._kept_bytes += _size(models)
        while self._kept_bytes > MOST_KEPT and len(self._trained) > self.at_once:
            _, dropped = self._trained.popitem(last=False)
            self._kept_bytes -= _size(dropped)


def _by_widths(plans: Sequence[Plan]) -> dict[Widths, list[Plan]]:
    found: dict[Widths, list[Plan]] = {}
    for plan in dict.fromkeys(plans):
        found.setdefault(tuple(plan.widths.items()), []).append(plan)
    return found


def _size(models: Kept) -> int:
    if isinstance(models, str):
        return 0
    states = [each.state_dict() if isinstance(each, nn.Module) else each for each in models]
    return sum(tensor.nbytes for state in states for tensor in state.values())
