"""Score plans with widths: candidates are resized, trained, quantized and scored."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from torch import nn

from narrower.errors import NarrowerError
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.quality import Quality, failed
from narrower.graph.lower import lower
from narrower.graph.network import numel
from narrower.graph.program import Program, with_parameters
from narrower.graph.trace import trace
from narrower.pipeline.problem import Problem
from narrower.plan import Plan
from narrower.tasks.batched_training import layers_of_chain, train_together
from narrower.tasks.training import train_weights
from narrower.tasks.training_settings import TrainingSettings
from narrower.transform.resized import TaylorData, wanted_counts, with_counts

MOST_TOGETHER = 64  # candidates that are trained at once
MOST_VALUES = 2**28  # numbers that the layers of these may hold for one batch
MOST_KEPT = 2**28  # bytes of trained weights that are kept for plans of the same widths
TAYLOR_SAMPLES = 1024

Widths = tuple[tuple[str, float], ...]


class ResizedScore:
    """The quality of plans of widths and formats; a trained candidate serves all plans of the same widths."""

    def __init__(self, problem: Problem, batch_size: int) -> None:
        assert problem.candidates is not None
        self._problem, self._settings, self._batch_size = problem, problem.candidates, batch_size
        self._trained: OrderedDict[Widths, tuple[nn.Module, ...] | str] = OrderedDict()
        self._kept_bytes = 0
        self._earlier: Mapping[Plan, Quality] = {}
        self.adopted = 0  # plans whose result came from an earlier search

    @cached_property
    def trains_together(self) -> bool:
        """Whether candidates can be trained at once."""
        chain = layers_of_chain(self._problem.model, self._problem.data.train.inputs[:2])
        return self._settings.training is not None and chain is not None

    @cached_property
    def _at_once(self) -> int:
        """Candidates that are trained at once, so that memory suffices."""
        if not self.trains_together or self._settings.training is None:
            return 1
        batch = self._settings.training.batch_size
        widest = {
            layer: max(plan.width for option in slot.options for name, plan in option if name == layer)
            for slot in self._problem.space.slots
            for layer in slot.layers
            if any(plan.width > 1 for option in slot.options for name, plan in option if name == layer)
        }
        operators = self._problem.resized_network(widest).operators
        values = sum(numel(operator.output_shape, batch) for operator in operators)
        return max(1, min(MOST_TOGETHER, MOST_VALUES // values))

    @property
    def training(self) -> str:
        """How candidates get their weights, in words."""
        settings = self._settings
        if settings.training is None:
            return f"not trained: scored with the model's own weights ({settings.weights})"
        how = f"{settings.weights}, {settings.training.max_epochs} epochs"
        if settings.seeds > 1:
            how += f", {settings.keep} of {settings.seeds} seeds"
        if self.trains_together:
            return f"{how}, up to {self._at_once} at once"
        return (
            f"{how}, one at a time: {self._problem.model_name} is no chain of linear layers, convolutions, "
            "batch norms, activations and pooling"
        )

    def adopt(self, results: Mapping[Plan, Quality]) -> None:
        """Use results of an earlier search under the same conditions."""
        self._earlier = results

    def evaluate(self, plans: Sequence[Plan]) -> list[Quality]:
        """Score ``plans``; one that goes wrong has a ``failure``."""
        found: dict[Plan, Quality] = {}
        by_widths: dict[Widths, list[Plan]] = {}
        for plan in dict.fromkeys(plans):
            if plan in self._earlier:
                found[plan] = self._earlier[plan]
                self.adopted += 1
            else:
                by_widths.setdefault(tuple(plan.widths.items()), []).append(plan)
        for start in range(0, len(by_widths), self._at_once):
            some = list(by_widths)[start : start + self._at_once]
            self._train([widths for widths in some if widths not in self._trained])
            for widths in some:
                scored = self._score(widths, by_widths[widths])
                found.update(zip(by_widths[widths], scored, strict=True))
        return [found[plan] for plan in plans]

    def initial(self, widths: Widths, seed: int) -> nn.Module:
        """A candidate before it is trained.

        Raises:
            NarrowerError: the model cannot have these widths.
        """
        problem, settings = self._problem, self._settings
        assert problem.channels is not None
        train = problem.data.train
        data = None
        if settings.importance == "taylor":
            data = TaylorData(train.inputs[:TAYLOR_SAMPLES], train.targets[:TAYLOR_SAMPLES])
        return with_counts(
            problem.model,
            tuple(argument[:3] for argument in train.arguments),
            problem.channels,
            wanted_counts(problem.channels, dict(widths), {}),
            weights=settings.weights,
            importance=settings.importance,
            data=data,
            seed=seed,
        ).eval()

    def program(self, model: nn.Module, widths: Widths) -> Program:
        """The lowered program of a candidate."""
        network = self._problem.resized_network(dict(widths))
        given = with_parameters(self._problem.program, model, network)
        if given is None:
            train = self._problem.data.train
            given = trace(model, [argument[:3] for argument in train.arguments], self._problem.model_name)
        return lower(given)

    def combined(self, qualities: Sequence[Quality]) -> Quality:
        """The quality over several seeds: the mean or the best, with how far they lie apart."""
        failures = [quality.failure for quality in qualities if quality.failure is not None]
        if failures:
            return failed(failures[0], qualities[0].samples)
        if len(qualities) == 1:
            return qualities[0]
        spread = float(np.std([quality.accuracy for quality in qualities], ddof=1))
        best = max(qualities, key=lambda quality: quality.correct)
        if self._settings.keep == "best":
            return replace(best, spread=spread)
        losses = [quality.loss for quality in qualities if quality.loss is not None]
        return Quality(
            sum(quality.correct for quality in qualities),
            sum(quality.samples for quality in qualities),
            float(np.mean(losses)) if losses else None,
            own=tuple(
                (name, float(np.mean([dict(quality.own)[name] for quality in qualities])))
                for name, _ in best.own
            ),
            spread=spread,
        )

    def _train(self, missing: Sequence[Widths]) -> None:
        settings, problem = self._settings, self._problem
        candidates: dict[Widths, list[nn.Module]] = {}
        failures: dict[Widths, str] = {}
        for widths in missing:
            try:
                seeds = range(settings.seeds)
                first = problem.options.seed
                candidates[widths] = [self.initial(widths, first + seed) for seed in seeds]
            except NarrowerError as error:
                self._keep(widths, str(error))
        if settings.training is not None and candidates:
            for seed in range(settings.seeds):
                training = replace(settings.training, seed=settings.training.seed + seed)
                models = [models[seed] for models in candidates.values()]
                for widths, trained in zip(candidates, self._trained_models(models, training), strict=True):
                    if isinstance(trained, str):
                        failures.setdefault(widths, trained)
                    else:
                        candidates[widths][seed] = trained
        for widths, own in candidates.items():
            self._keep(widths, failures.get(widths) or tuple(own))

    def _trained_models(
        self, models: Sequence[nn.Module], training: TrainingSettings
    ) -> list[nn.Module | str]:
        """Trained copies, or why there is none."""
        data = self._problem.data
        if self.trains_together:
            trained = train_together(models, data.train, training)
            return [failure or model for model, failure in zip(trained.models, trained.failures, strict=True)]
        alone: list[nn.Module | str] = []
        for model in models:
            try:
                alone.append(train_weights(model, data, training))
            except NarrowerError as error:
                alone.append(str(error))
        return alone

    def _keep(self, widths: Widths, models: tuple[nn.Module, ...] | str) -> None:
        self._trained[widths] = models
        self._kept_bytes += _size(models)
        while self._kept_bytes > MOST_KEPT and len(self._trained) > self._at_once:
            _, dropped = self._trained.popitem(last=False)
            self._kept_bytes -= _size(dropped)

    def _score(self, widths: Widths, plans: Sequence[Plan]) -> list[Quality]:
        models = self._trained[widths]
        if isinstance(models, str):
            return [failed(models, len(self._problem.part))] * len(plans)
        self._trained.move_to_end(widths)
        formats = [plan.formats for plan in plans]
        by_seed = []
        for model in models:
            evaluator = Evaluator(
                self.program(model, widths),
                self._problem.part,
                batch_size=self._batch_size,
                own_metrics=self._problem.own_metrics,
            )
            by_seed.append(evaluator.evaluate(formats, loss=True))
        return [self.combined(qualities) for qualities in zip(*by_seed, strict=True)]


def _size(models: tuple[nn.Module, ...] | str) -> int:
    if isinstance(models, str):
        return 0
    return sum(tensor.nbytes for model in models for tensor in model.state_dict().values())
